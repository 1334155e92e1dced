#include "schema/net/http_head.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static void
fail(struct tl_http_head *head, enum tl_err err, const char *text)
{
	if (!head->err)
		head->err = tl_fail(&head->why, err, "%s", text);
}

static bool
is_word(struct tl_slice text, const char *word)
{
	return text.bytes == strlen(word) &&
	       strncasecmp((const char *)text.data, word, text.bytes) == 0;
}

static bool
begins_with(struct tl_slice text, const char *word)
{
	return text.bytes >= strlen(word) &&
	       strncasecmp((const char *)text.data, word, strlen(word)) == 0;
}

/* RFC 9110's token. */
static bool
is_token(struct tl_slice text)
{
	for (size_t i = 0; i < text.bytes; i++) {
		uint8_t byte = text.data[i];

		if (byte >= 0x80 ||
			(!isalnum(byte) && (byte == 0 || strchr("!#$%&'*+-.^_`|~", byte) == NULL)))
			return false;
	}
	return text.bytes > 0;
}

static bool
has_control(struct tl_slice text)
{
	for (size_t i = 0; i < text.bytes; i++) {
		if ((text.data[i] < 0x20 && text.data[i] != '\t') || text.data[i] == 0x7f)
			return true;
	}
	return false;
}

/* Digits alone: no sign, no blank, no list, and no number past 15 digits. */
static void
add_length(struct tl_http_head *head, struct tl_slice value)
{
	uint64_t bytes = 0;

	if (++head->length_count > 1)
		fail(head, TL_EBAD_LENGTH, "Content-Length: given twice");
	if (value.bytes == 0 || value.bytes > 15)
		fail(head, TL_EBAD_LENGTH, "Content-Length: not a length");
	for (size_t i = 0; i < value.bytes && i < 15; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			fail(head, TL_EBAD_LENGTH, "Content-Length: not a length");
		bytes = bytes * 10 + (value.data[i] - '0');
	}
	head->body_bytes = bytes;
}

static void
add_coding(struct tl_http_head *head, struct tl_slice value)
{
	if (++head->coding_count > 1)
		fail(head, TL_EBAD_LENGTH, "Transfer-Encoding: given twice");
	if (!is_word(value, "chunked"))
		fail(head, TL_EBAD_LENGTH, "Transfer-Encoding: only chunked is taken");
}

/* The name without its port: "[::1]:8787", "localhost:8787", "localhost". */
static struct tl_slice
host_name(struct tl_slice value)
{
	const uint8_t *from = value.data;
	size_t bytes = value.bytes;
	const uint8_t *end =
		bytes > 0 && from[0] == '[' ? memchr(from, ']', bytes) : memchr(from, ':', bytes);

	if (end == NULL)
		return value;
	return tl_slice_of(from, (size_t)(end - from) + (from[0] == '[' ? 1 : 0));
}

static void
add_host(struct tl_http_head *head, struct tl_slice value, const char *const *hosts,
	uint32_t host_count)
{
	struct tl_slice name = host_name(value);

	if (++head->host_count > 1)
		fail(head, TL_EBAD_HEADER, "Host: given twice");
	for (uint32_t i = 0; i < host_count; i++) {
		if (is_word(name, hosts[i]))
			return;
	}
	fail(head, TL_EBAD_HEADER, "Host: not a name of this server; see --host");
}

void
tl_http_head_add(struct tl_http_head *head, struct tl_slice name, struct tl_slice value,
	const char *const *hosts, uint32_t host_count)
{
	if (++head->header_count > TL_HTTP_HEADERS_MAX)
		fail(head, TL_EHEADER_TOO_LARGE, "more headers than the limit");
	if (!is_token(name))
		fail(head, TL_EBAD_HEADER, "a header's name is not a token");
	if (has_control(value))
		fail(head, TL_EBAD_HEADER, "a header has a control byte");
	if (is_word(name, "content-length"))
		add_length(head, value);
	else if (is_word(name, "transfer-encoding"))
		add_coding(head, value);
	else if (begins_with(name, "content-length") || begins_with(name, "transfer-encoding"))
		fail(head, TL_EBAD_HEADER, "a header's name is almost that of a length");
	else if (is_word(name, "host"))
		add_host(head, value, hosts, host_count);
}

enum tl_err
tl_http_head_check(const struct tl_http_head *head, struct tl_why *why)
{
	if (head->err)
		return tl_fail(why, head->err, "%s", head->why.text);
	if (head->length_count > 0 && head->coding_count > 0)
		return tl_fail(
			why, TL_EBAD_LENGTH, "Content-Length: not together with Transfer-Encoding");
	if (head->host_count == 0)
		return tl_fail(why, TL_EBAD_HEADER, "Host: is required");
	return TL_OK;
}

static struct tl_slice
trim(struct tl_slice text)
{
	while (text.bytes > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
		text = tl_slice_of(text.data + 1, text.bytes - 1);
	while (text.bytes > 0 &&
		(text.data[text.bytes - 1] == ' ' || text.data[text.bytes - 1] == '\t'))
		text.bytes--;
	return text;
}

/* The part before the separator; *rest is what follows it. */
static struct tl_slice
cut(struct tl_slice text, char separator, struct tl_slice *rest)
{
	const uint8_t *at = text.bytes > 0 ? memchr(text.data, separator, text.bytes) : NULL;

	*rest = tl_slice_of(NULL, 0);
	if (at == NULL)
		return text;
	*rest = tl_slice_of(at + 1, text.bytes - (size_t)(at - text.data) - 1);
	return tl_slice_of(text.data, (size_t)(at - text.data));
}

/* "q=0", "q=0.0" and so on: the word is named to be refused. */
static bool
is_refusal(struct tl_slice weight)
{
	struct tl_slice param, rest = weight;

	while (rest.bytes > 0) {
		param = trim(cut(rest, ';', &rest));
		if (!begins_with(param, "q="))
			continue;
		for (size_t i = 2; i < param.bytes; i++) {
			if (param.data[i] != '0' && param.data[i] != '.')
				return false;
		}
		return true;
	}
	return false;
}

bool
tl_http_head_takes(struct tl_slice value, const char *word)
{
	struct tl_slice rest = value;

	while (rest.bytes > 0) {
		struct tl_slice weight, part = cut(rest, ',', &rest);

		if (is_word(trim(cut(part, ';', &weight)), word))
			return !is_refusal(weight);
	}
	return false;
}
