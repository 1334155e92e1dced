/*
 * The pages of the dashboard are one file, index.html, whose script finds by the address which page
 * it is. Names with a hash never change, so browsers keep them; index.html is asked for each time.
 */
#include "query/web/assets.h"

#include <stdlib.h>
#include <string.h>

#define FILES_MAX 16u
#define ROUTES_MAX (FILES_MAX + 8u)
#define FILE_BYTES_MAX (4u << 20)
#define PAGE_TYPE "text/html; charset=utf-8"

/* Ready to be sent; what a route of an asset has beside its path. */
struct file {
	const struct assets_file *line; /* NULL: the page that says nothing is built in */
	struct tl_http_body *body;
};

struct assets {
	struct file files[FILES_MAX];
	struct file absent;
	uint32_t file_count;
	struct tl_http_route routes[ROUTES_MAX];
	uint32_t route_count;
};

static const char *const page_paths[] = {"/dashboard", "/dashboard/team", "/dashboard/sessions",
	"/dashboard/sessions/{id}", "/login"};

static const char absent_page[] =
	"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>tally</title>"
	"<h1>tally</h1><p>The dashboard was not built into this tally-http: npm was not there when "
	"it was made.</p><p>The figures are at <code>/api/v1/openapi.json</code> and with "
	"<code>tally top</code>.</p></html>\n";

static bool
has(const struct tl_http_request *request, const char *etag)
{
	struct tl_slice tags = tl_http_request_header(request, "If-None-Match");

	return tags.bytes > 0 && memmem(tags.data, tags.bytes, etag, strlen(etag)) != NULL;
}

static void
run_file(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	const struct file *file = route->what;
	const struct assets_file *line = file->line;

	(void)arg;
	if (line == NULL) {
		tl_http_reply(request, 200, PAGE_TYPE, tl_http_body_hold(file->body));
		return;
	}
	tl_http_reply_header(request, "ETag", line->etag);
	tl_http_reply_header(request, "Cache-Control",
		line->is_immutable ? "public, max-age=31536000, immutable" : "no-cache");
	/* The headers of a 304 take the place of those that were kept: the policy must be the
	 * page's. */
	if (has(request, line->etag))
		tl_http_reply(request, 304, line->type, NULL);
	else
		tl_http_reply(request, 200, line->type, tl_http_body_hold(file->body));
}

static void
run_to_dashboard(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	(void)route;
	(void)arg;
	tl_http_reply_header(request, "Location", "/dashboard");
	tl_http_reply(request, 302, NULL, NULL);
}

static void
add_route(struct assets *assets, const char *path, const struct file *file)
{
	assets->routes[assets->route_count++] = (struct tl_http_route){.method = TL_HTTP_GET,
		.path = path,
		.run = file != NULL ? run_file : run_to_dashboard,
		.what = file};
}

static void
add_pages(struct assets *assets, const struct file *file)
{
	add_route(assets, "/", NULL);
	for (size_t i = 0; i < sizeof(page_paths) / sizeof(page_paths[0]); i++)
		add_route(assets, page_paths[i], file);
}

static enum tl_err
add_file(struct assets *assets, const struct assets_file *line, struct tl_why *why)
{
	struct file *file = &assets->files[assets->file_count];
	enum tl_err err = tl_http_body_of_gzip(
		tl_slice_of(line->stream, line->stream_bytes), FILE_BYTES_MAX, &file->body);

	if (err)
		return tl_fail(why, err, "%s of the dashboard cannot be read", line->path);
	assets->file_count++;
	file->line = line;
	if (strcmp(line->path, "/index.html") == 0)
		add_pages(assets, file);
	else
		add_route(assets, line->path, file);
	return TL_OK;
}

static enum tl_err
add_absent(struct assets *assets)
{
	struct tl_buf page;
	enum tl_err err;

	tl_buf_init(&page, 0);
	tl_buf_put_str(&page, absent_page);
	err = tl_http_body_of(&page, &assets->absent.body);
	tl_buf_fini(&page);
	if (!err)
		add_pages(assets, &assets->absent);
	return err;
}

enum tl_err
assets_new(struct assets **assets_out, struct tl_why *why)
{
	struct assets *assets = calloc(1, sizeof(*assets));
	enum tl_err err = TL_OK;

	if (assets == NULL)
		return TL_ENOMEM;
	if (assets_count > FILES_MAX)
		err = tl_fail(why, TL_ECONFIG, "the dashboard has more than %u files", FILES_MAX);
	for (uint64_t i = 0; !err && i < assets_count; i++)
		err = add_file(assets, &assets_table[i], why);
	if (!err && assets_count == 0)
		err = add_absent(assets);
	if (err) {
		assets_free(assets);
		return err;
	}
	*assets_out = assets;
	return TL_OK;
}

void
assets_free(struct assets *assets)
{
	if (assets == NULL)
		return;
	for (uint32_t i = 0; i < assets->file_count; i++)
		tl_http_body_drop(assets->files[i].body);
	tl_http_body_drop(assets->absent.body);
	free(assets);
}

const struct tl_http_route *
assets_routes(const struct assets *assets, uint32_t *count_out)
{
	*count_out = assets->route_count;
	return assets->routes;
}
