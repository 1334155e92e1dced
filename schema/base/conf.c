/*
 * A file or a command line is read twice, first only to check it, so that a wrong one changes
 * nothing. inih is fed line by line by us: what it would cut short or join is refused before.
 */
#include "schema/base/conf.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <ini.h>

#include "schema/base/file.h"

#define CONF_FILE_BYTES_MAX (1 << 20)
#define CONF_OPTION_BYTES 80

/* The factor a suffix stands for, 0 when it is none. */
static int64_t
suffix_factor(const char *suffix)
{
	if (strcmp(suffix, "") == 0)
		return 1;
	if (strcmp(suffix, "k") == 0)
		return 1 << 10;
	if (strcmp(suffix, "M") == 0)
		return 1 << 20;
	if (strcmp(suffix, "G") == 0)
		return 1 << 30;
	return 0;
}

static bool
parse_int(const char *text, int64_t *value_out)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	int64_t value;
	int64_t factor;
	char *suffix;

	/* strtoll would also take blanks and a plus. */
	if (!isdigit((unsigned char)digits[0]))
		return false;
	errno = 0;
	value = strtoll(text, &suffix, 10);
	if (errno != 0)
		return false;
	factor = suffix_factor(suffix);
	return factor != 0 && !__builtin_mul_overflow(value, factor, value_out);
}

static enum tl_err
set_string(const struct tl_conf_setting *setting, const char *shown, const char *text, void *values,
	struct tl_why *why)
{
	size_t bytes = strlen(text);

	if (bytes >= TL_CONF_STRING_BYTES)
		return tl_fail(why, TL_ECONFIG, "%s must be at most %d bytes long, is %zu", shown,
			TL_CONF_STRING_BYTES - 1, bytes);
	if (values)
		memcpy((char *)values + setting->offset, text, bytes + 1);
	return TL_OK;
}

static enum tl_err
set_int(const struct tl_conf_setting *setting, const char *shown, const char *text, void *values,
	struct tl_why *why)
{
	int64_t value;

	if (!parse_int(text, &value) || value < setting->min || value > setting->max)
		return tl_fail(why, TL_ECONFIG,
			"%s must be a whole number from %" PRId64 " to %" PRId64 ", is '%s'", shown,
			setting->min, setting->max, text);
	if (values)
		memcpy((char *)values + setting->offset, &value, sizeof(value));
	return TL_OK;
}

static enum tl_err
set_flag(const struct tl_conf_setting *setting, const char *shown, const char *text, void *values,
	struct tl_why *why)
{
	bool value = strcmp(text, "true") == 0;

	if (!value && strcmp(text, "false") != 0)
		return tl_fail(why, TL_ECONFIG, "%s must be true or false, is '%s'", shown, text);
	if (values)
		memcpy((char *)values + setting->offset, &value, sizeof(value));
	return TL_OK;
}

/* Check text and, unless values is NULL, store it. shown is how the user spells the setting. */
static enum tl_err
set_value(const struct tl_conf_setting *setting, const char *shown, const char *text, void *values,
	struct tl_why *why)
{
	switch (setting->type) {
	case TL_CONF_STRING:
		return set_string(setting, shown, text, values, why);
	case TL_CONF_INT:
		return set_int(setting, shown, text, values, why);
	case TL_CONF_FLAG:
		return set_flag(setting, shown, text, values, why);
	}
	assert(!"a type of setting");
	return TL_ECONFIG;
}

void
tl_conf_defaults(const struct tl_conf_table *table, void *values)
{
	for (size_t i = 0; i < table->setting_count; i++) {
		const struct tl_conf_setting *setting = &table->settings[i];
		enum tl_err err;

		assert(strlen(setting->name) < CONF_OPTION_BYTES);
		assert(!strchr(setting->name, '-'));
		assert(strcmp(setting->name, "config") != 0);
		assert(setting->initial);
		err = set_value(setting, setting->name, setting->initial, values, NULL);
		assert(!err);
	}
}

/* One reading of a file. */
struct conf_file {
	const struct tl_conf_table *table;
	void *values; /* NULL: only check */
	struct tl_slice left;
	int line;	    /* the one inih has, from 1 */
	int failed_line;    /* the first wrong one, 0 while there is none */
	struct tl_why fact; /* what is wrong with it */
};

static const struct tl_conf_setting *
find_setting(const struct tl_conf_table *table, const char *name)
{
	for (size_t i = 0; i < table->setting_count; i++) {
		if (strcmp(table->settings[i].name, name) == 0)
			return &table->settings[i];
	}
	return NULL;
}

/* What inih would read as something else than it says; true when there is nothing of it. */
static bool
check_line(struct conf_file *file, struct tl_slice line, size_t bytes_max)
{
	size_t blanks = 0;

	while (blanks < line.bytes && isspace(line.data[blanks]))
		blanks++;
	if (line.bytes > bytes_max)
		tl_fail(&file->fact, TL_ECONFIG, "the line is longer than %zu bytes", bytes_max);
	else if (line.bytes > 0 && memchr(line.data, 0, line.bytes))
		tl_fail(&file->fact, TL_ECONFIG, "the line holds a zero byte");
	else if (blanks > 0 && blanks < line.bytes && !strchr(";#", line.data[blanks]))
		tl_fail(&file->fact, TL_ECONFIG, "a setting begins at the start of its line");
	else
		return true;
	file->failed_line = file->line;
	return false;
}

/* ini_reader, as fgets; the end after the first wrong line. */
static char *
next_line(char *text, int text_bytes, void *stream)
{
	struct conf_file *file = stream;
	const uint8_t *newline;
	struct tl_slice line = file->left;

	if (file->failed_line != 0 || file->left.bytes == 0)
		return NULL;
	newline = memchr(line.data, '\n', line.bytes);
	if (newline)
		line.bytes = (size_t)(newline - line.data);
	file->left.data += line.bytes + (newline ? 1 : 0);
	file->left.bytes -= line.bytes + (newline ? 1 : 0);
	file->line++;
	/* The newline and the terminator need room, too. */
	if (!check_line(file, line, (size_t)text_bytes - 2))
		return NULL;
	memcpy(text, line.data, line.bytes);
	memcpy(text + line.bytes, "\n", 2);
	return text;
}

/* ini_handler: 1 is success. */
static int
apply_line(void *user, const char *section, const char *name, const char *text)
{
	struct conf_file *file = user;
	const struct tl_conf_setting *setting = find_setting(file->table, name);
	enum tl_err err;

	if (section[0] != '\0')
		err = tl_fail(
			&file->fact, TL_ECONFIG, "there are no sections, found [%s]", section);
	else if (!setting)
		err = tl_fail(&file->fact, TL_ECONFIG, "unknown setting '%s'", name);
	else
		err = set_value(setting, name, text, file->values, &file->fact);
	if (err && file->failed_line == 0)
		file->failed_line = file->line;
	return err == TL_OK;
}

static enum tl_err
read_text(const struct tl_conf_table *table, const char *path, struct tl_slice text, void *values,
	struct tl_why *why)
{
	struct conf_file file = {.table = table, .values = values, .left = text};
	int rc = ini_parse_stream(next_line, &file, apply_line, &file);

	if (rc < 0)
		return tl_fail(why, TL_ENOMEM, "read '%s': out of memory", path);
	/* inih goes on after a line it cannot read, so that one may precede ours. */
	if (rc > 0 && rc != file.failed_line)
		return tl_fail(why, TL_ECONFIG, "%s:%d: not of the form name = value", path, rc);
	if (file.failed_line != 0)
		return tl_fail(
			why, TL_ECONFIG, "%s:%d: %s", path, file.failed_line, file.fact.text);
	return TL_OK;
}

enum tl_err
tl_conf_read_file(
	const struct tl_conf_table *table, const char *path, void *values, struct tl_why *why)
{
	struct tl_buf text;
	enum tl_err err;

	tl_buf_init(&text, CONF_FILE_BYTES_MAX);
	err = tl_file_read(path, &text, why);
	if (err)
		goto out;
	err = read_text(table, path, tl_buf_slice(&text), NULL, why);
	if (err)
		goto out;
	err = read_text(table, path, tl_buf_slice(&text), values, why);

out:
	tl_buf_fini(&text);
	return err;
}

/* What one walk over the command line is for, in their order. */
enum args_walk {
	ARGS_CHECK,
	ARGS_FILE,
	ARGS_APPLY,
};

struct conf_args {
	const struct tl_conf_table *table;
	enum args_walk walk;
	int argc;
	char **argv;
	int idx; /* of the argument being read */
	void *values;
	int operand_count;
	bool had_config;
	struct tl_why *why;
};

static void
option_of(const struct tl_conf_setting *setting, char option_out[CONF_OPTION_BYTES])
{
	snprintf(option_out, CONF_OPTION_BYTES, "%s", setting->name);
	for (char *c = option_out; *c; c++) {
		if (*c == '_')
			*c = '-';
	}
}

static const struct tl_conf_setting *
find_option(const struct tl_conf_table *table, struct tl_slice name)
{
	for (size_t i = 0; i < table->setting_count; i++) {
		char option[CONF_OPTION_BYTES];

		option_of(&table->settings[i], option);
		if (tl_slice_eq(tl_slice_str(option), name))
			return &table->settings[i];
	}
	return NULL;
}

/* The text after the sign, or else the next argument. */
static enum tl_err
take_value(struct conf_args *args, struct tl_slice name, const char **text_out)
{
	const char *after = (const char *)name.data + name.bytes;

	if (*after == '=') {
		*text_out = after + 1;
		return TL_OK;
	}
	if (args->idx + 1 >= args->argc)
		return tl_fail(args->why, TL_EUSAGE, "--%s needs a value", after - name.bytes);
	*text_out = args->argv[++args->idx];
	return TL_OK;
}

static enum tl_err
read_config_option(struct conf_args *args, struct tl_slice name)
{
	const char *path;
	enum tl_err err = take_value(args, name, &path);

	if (err)
		return err;
	if (args->had_config)
		return tl_fail(args->why, TL_EUSAGE, "--config is given twice");
	args->had_config = true;
	if (args->walk == ARGS_FILE)
		return tl_conf_read_file(args->table, path, args->values, args->why);
	return TL_OK;
}

static enum tl_err
set_option(struct conf_args *args, const struct tl_conf_setting *setting, const char *text)
{
	char shown[CONF_OPTION_BYTES + 2] = "--";
	void *values = args->walk == ARGS_APPLY ? args->values : NULL;

	option_of(setting, shown + 2);
	return set_value(setting, shown, text, values, args->why) ? TL_EUSAGE : TL_OK;
}

static enum tl_err
read_flag(struct conf_args *args, const struct tl_conf_setting *setting, struct tl_slice name,
	const char *text)
{
	if (name.data[name.bytes] == '=')
		return tl_fail(args->why, TL_EUSAGE, "--%.*s takes no value", (int)name.bytes,
			(const char *)name.data);
	return set_option(args, setting, text);
}

/* argv[idx] begins with a dash. */
static enum tl_err
read_option(struct conf_args *args)
{
	const char *arg = args->argv[args->idx];
	const struct tl_conf_setting *setting;
	struct tl_slice name;
	const char *text;
	enum tl_err err;

	if (arg[1] != '-')
		return tl_fail(args->why, TL_EUSAGE, "unknown option '%s'", arg);
	name = tl_slice_of(arg + 2, strcspn(arg + 2, "="));
	if (tl_slice_eq(name, tl_slice_str("config")))
		return read_config_option(args, name);

	setting = find_option(args->table, name);
	if (setting && setting->type == TL_CONF_FLAG)
		return read_flag(args, setting, name, "true");
	if (setting) {
		err = take_value(args, name, &text);
		return err ? err : set_option(args, setting, text);
	}
	if (name.bytes > 3 && memcmp(name.data, "no-", 3) == 0) {
		setting = find_option(args->table, tl_slice_of(name.data + 3, name.bytes - 3));
		if (setting && setting->type == TL_CONF_FLAG)
			return read_flag(args, setting, name, "false");
	}
	return tl_fail(args->why, TL_EUSAGE, "unknown option '%s'", arg);
}

static enum tl_err
walk_args(struct conf_args *args, enum args_walk walk)
{
	bool options_over = false;

	args->walk = walk;
	args->had_config = false;
	args->operand_count = 0;
	for (args->idx = 1; args->idx < args->argc; args->idx++) {
		char *arg = args->argv[args->idx];
		enum tl_err err;

		if (!options_over && strcmp(arg, "--") == 0) {
			options_over = true;
			continue;
		}
		if (!options_over && arg[0] == '-' && arg[1] != '\0') {
			err = read_option(args);
			if (err)
				return err;
			continue;
		}
		if (!args->table->operands)
			return tl_fail(args->why, TL_EUSAGE, "unexpected argument '%s'", arg);
		args->operand_count++;
		/* At or before what was read, so nothing unread is lost. */
		if (walk == ARGS_APPLY)
			args->argv[args->operand_count] = arg;
	}
	return TL_OK;
}

enum tl_err
tl_conf_read_args(const struct tl_conf_table *table, int argc, char **argv, void *values,
	int *operand_count_out, struct tl_why *why)
{
	struct conf_args args = {
		.table = table, .argc = argc, .argv = argv, .values = values, .why = why};
	enum tl_err err = walk_args(&args, ARGS_CHECK);

	if (err)
		return err;
	err = walk_args(&args, ARGS_FILE);
	if (err)
		return err;
	err = walk_args(&args, ARGS_APPLY);
	if (err)
		return err;
	*operand_count_out = args.operand_count;
	return TL_OK;
}

static bool
is_same(const struct tl_conf_setting *setting, const void *a, const void *b)
{
	const char *a_field = (const char *)a + setting->offset;
	const char *b_field = (const char *)b + setting->offset;

	switch (setting->type) {
	case TL_CONF_STRING:
		return strcmp(a_field, b_field) == 0;
	case TL_CONF_INT:
		return memcmp(a_field, b_field, sizeof(int64_t)) == 0;
	case TL_CONF_FLAG:
		return memcmp(a_field, b_field, sizeof(bool)) == 0;
	}
	assert(!"a type of setting");
	return true;
}

static bool
is_reloaded(const struct tl_conf_table *table, const char *name)
{
	for (const char *const *reloads = table->reloads; *reloads != NULL; reloads++) {
		if (strcmp(*reloads, name) == 0)
			return true;
	}
	return false;
}

static void
take_over(const struct tl_conf_setting *setting, const void *fresh, void *values)
{
	static const size_t bytes[] = {
		[TL_CONF_STRING] = TL_CONF_STRING_BYTES,
		[TL_CONF_INT] = sizeof(int64_t),
		[TL_CONF_FLAG] = sizeof(bool),
	};

	memcpy((char *)values + setting->offset, (const char *)fresh + setting->offset,
		bytes[setting->type]);
}

void
tl_conf_adopt(const struct tl_conf_table *table, const void *fresh, void *values,
	struct tl_buf *changed_out, struct tl_buf *waiting_out)
{
	for (size_t i = 0; i < table->setting_count; i++) {
		const struct tl_conf_setting *setting = &table->settings[i];
		bool is_taken = is_reloaded(table, setting->name);
		struct tl_buf *names = is_taken ? changed_out : waiting_out;

		if (is_same(setting, fresh, values))
			continue;
		tl_buf_printf(names, "%s%s", names->bytes > 0 ? " " : "", setting->name);
		if (is_taken)
			take_over(setting, fresh, values);
	}
}

static void
put_setting_help(const struct tl_conf_setting *setting, struct tl_buf *text_out)
{
	char option[CONF_OPTION_BYTES];

	option_of(setting, option);
	switch (setting->type) {
	case TL_CONF_STRING:
		tl_buf_printf(text_out, "  --%s TEXT\n        %s", option, setting->help);
		if (setting->initial[0] != '\0')
			tl_buf_printf(text_out, " (default %s)", setting->initial);
		break;
	case TL_CONF_INT:
		tl_buf_printf(text_out,
			"  --%s N\n        %s (%" PRId64 " to %" PRId64 ", default %s)", option,
			setting->help, setting->min, setting->max, setting->initial);
		break;
	case TL_CONF_FLAG:
		tl_buf_printf(text_out, "  --[no-]%s\n        %s (default %s)", option,
			setting->help, setting->initial);
		break;
	}
	tl_buf_put_str(text_out, "\n");
}

void
tl_conf_help(const struct tl_conf_table *table, struct tl_buf *text_out)
{
	tl_buf_printf(text_out, "Usage: %s [OPTION...]", table->program);
	if (table->operands)
		tl_buf_printf(text_out, " [--] %s", table->operands);
	tl_buf_printf(text_out, "\n\n%s\n\n", table->summary);
	for (size_t i = 0; i < table->setting_count; i++)
		put_setting_help(&table->settings[i], text_out);
	tl_buf_put_str(text_out, "  --config FILE\n        read settings from FILE first, "
				 "one \"name = value\" per line\n");
	tl_buf_put_str(text_out, "Numbers take the suffixes k, M and G (1024, 1024^2, 1024^3).\n");
}
