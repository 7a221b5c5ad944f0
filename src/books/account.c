/* What is known of a cloud account: see account.h. */
#include <unistd.h>

#include "books/account.h"
#include "core/buf.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/lock.h"
#include "wire/fields.h"

#define FILE_MAX	(4u << 20)
#define KEY_HEX		16

static const char *const note_keys[] = {
	[ACCOUNT_CHECKED] = "checked", [ACCOUNT_STOCK_OUT] = "stock_outs", [ACCOUNT_REGION] = "regions",
};

void
account_open(struct account_book *a, const char *clouds_dir, const char *key)
{
	uint8_t digest[32];

	*a = (struct account_book){ .dir = -1 };
	if (key[0] == '\0')
		return;
	hash_sha256(key, strlen(key), digest);
	hash_hex(digest, KEY_HEX / 2, a->key);
	if (clouds_dir != NULL && clouds_dir[0] != '\0' && fs_mkdirs(clouds_dir, 0700, NULL) == 0)
		a->dir = fs_opendir(AT_FDCWD, clouds_dir, NULL);
}

struct account_book
account_apart(const struct account_book *a, const char *key)
{
	struct account_book apart;

	account_open(&apart, NULL, key);
	apart.dir = a->dir;
	return apart;
}

void
account_close(struct account_book *a)
{
	if (a->dir >= 0)
		close(a->dir);
	a->dir = -1;
}

/* The name of one of the account's files. */
struct file_name { char text[64]; };

static struct file_name
file_of(const struct account_book *a, const char *what)
{
	struct file_name f;

	snprintf(f.text, sizeof(f.text), "%s%s", a->key, what);
	return f;
}

/* A file's object; JSON_NONE when there is none that can be read. */
static struct json_val
read_object(const struct account_book *a, const char *what, struct arena *arena)
{
	struct buf b = { .max = FILE_MAX };
	struct json_val root = JSON_NONE;

	if (a->dir >= 0 && fs_read(a->dir, file_of(a, what).text, FILE_MAX, &b, NULL) == 0 &&
	    json_parse(arena, arena_str(arena, buf_str(&b)), &root, NULL) < 0)
		root = JSON_NONE;
	buf_wipe(&b);
	return root;
}

static int
lock(const struct account_book *a, struct err *e)
{
	if (a->dir < 0)
		return err_set(e, ERR_NOTFOUND, 0, "there is no directory for what is known of cloud accounts");
	return lock_take(a->dir, file_of(a, ".lock").text, LOCK_WAIT, e);
}

/* Notes */

static wall_t
note_time(struct arena *arena, struct json_val root, enum account_note what, const char *name)
{
	wall_t t = WALL_UNKNOWN;

	(void)time_parse_rfc3339(json_str(arena, json_get(json_get(root, note_keys[what]), name)), &t);
	return t;
}

bool
account_knows(const struct account_book *a, enum account_note what, const char *name, dur_t age)
{
	struct arena arena = { 0 };
	wall_t t = note_time(&arena, read_object(a, ".json", &arena), what, name);
	dur_t old = wall_between(t, wall_now());

	arena_reset(&arena);
	/* A note from the future is of a clock that was set back since: it is as good as new for as long as a new one. */
	return wall_known(t) && (age == 0 || (old < age && old > -age));
}

static void
put_time(struct json_w *w, const char *key, wall_t t)
{
	char text[TIME_RFC3339_MAX];

	time_rfc3339(t, 0, text);
	jw_cstr(w, key, text);
}

/* The section with one more name in it, without what is older than `forget`. */
static void
put_section(struct json_w *w, struct arena *arena, struct json_val root, enum account_note what, const char *name, dur_t forget)
{
	wall_t now = wall_now(), t;

	jw_object(w, note_keys[what]);
	JSON_EACH(v, json_get(root, note_keys[what])) {
		const char *key = arena_dup(arena, json_key(arena, v));

		if (strcmp(key, name) != 0 && time_parse_rfc3339(json_str(arena, v), &t) == 0 && wall_between(t, now) < forget)
			put_time(w, key, t);
	}
	put_time(w, name, now);
	jw_end_object(w);
}

void
account_note(const struct account_book *a, enum account_note what, const char *name, dur_t forget)
{
	struct arena arena = { 0 };
	struct buf b = { .max = FILE_MAX };
	struct json_w w = { .b = &b, .indent = 2 };
	struct json_val root;
	int held = lock(a, NULL);

	if (held < 0)
		return;
	root = read_object(a, ".json", &arena);
	jw_object(&w, NULL);
	put_section(&w, &arena, root, what, name, forget);
	JSON_EACH(v, root)
		if (!str_eqc(json_key(&arena, v), note_keys[what]))
			jw_rawkey(&w, json_key(&arena, v), json_raw(v));
	jw_end_object(&w);
	buf_putc(&b, '\n');
	(void)fs_write_fast(a->dir, file_of(a, ".json").text, buf_str(&b), 0600, NULL);
	close(held);
	buf_free(&b);
	arena_reset(&arena);
}

size_t
account_names(const struct account_book *a, enum account_note what, struct arena *arena, const char ***names)
{
	struct json_val section = json_get(read_object(a, ".json", arena), note_keys[what]);
	size_t n = 0;

	*names = arena_calloc(arena, json_len(section) + 1, sizeof(**names));
	JSON_EACH(v, section)
		(*names)[n++] = arena_dup(arena, json_key(arena, v));
	return n;
}

/* The watcher's list */

static const struct field seen_fields[] = {
	FIELD(struct account_seen, STR, "id", id),
	FIELD(struct account_seen, STR, "name", name),
	FIELD(struct account_seen, STR_IF, "nonce", nonce),
	FIELD(struct account_seen, STR_IF, "address", address),
	FIELD(struct account_seen, INT, "state", state),
	FIELD(struct account_seen, INT, "why", why),
	FIELD(struct account_seen, STR_IF, "words", words),
};

int
account_seen_write(const struct account_book *a, const struct account_seen *v, size_t n, struct err *e)
{
	struct buf b = { .max = FILE_MAX };
	struct json_w w = { .b = &b };
	int rc;

	if (a->dir < 0)
		return err_set(e, ERR_NOTFOUND, 0, "there is no directory for what is known of cloud accounts");
	jw_object(&w, NULL);
	jw_i64(&w, "at_ms", wall_now().ns / NSEC_MSEC);
	jw_array(&w, "machines");
	for (size_t i = 0; i < n; i++) {
		jw_object(&w, NULL);
		fields_write(&w, seen_fields, NELEM(seen_fields), &v[i]);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_end_object(&w);
	/* One writer, whole files: no lock, and no fsync for what is old in a few seconds. */
	rc = fs_write_fast(a->dir, file_of(a, ".seen.json").text, buf_str(&b), 0600, e);
	buf_free(&b);
	return rc;
}

int
account_seen_read(const struct account_book *a, struct arena *arena, struct account_seen **v, size_t *n, dur_t *age)
{
	struct json_val root = read_object(a, ".seen.json", arena), list = json_get(root, "machines");
	int64_t at = json_i64(json_get(root, "at_ms"), 0);

	*n = 0;
	if (at <= 0 || json_type(list) != JSON_ARRAY)
		return -1;
	*age = wall_between((wall_t){ at * NSEC_MSEC }, wall_now());
	*v = arena_calloc(arena, json_len(list) + 1, sizeof(**v));
	JSON_EACH(item, list) {
		struct account_seen *s = &(*v)[(*n)++];

		*s = (struct account_seen){ .id = "", .name = "", .nonce = "", .address = "", .words = "" };
		fields_read(arena, item, seen_fields, NELEM(seen_fields), s);
	}
	return 0;
}

/* Credentials with an end */

static const struct field token_fields[] = {
	FIELD(struct account_token, SECRET, "text", text),
	FIELD(struct account_token, TIME, "good_until", good_until),
};

static struct account_token
read_token(const struct account_book *a, struct arena *arena)
{
	struct account_token t = { .text = SECRET("") };

	fields_read(arena, read_object(a, ".token.json", arena), token_fields, NELEM(token_fields), &t);
	return t;
}

static void
keep_token(const struct account_book *a, const struct account_token *t)
{
	struct buf b = { .max = FILE_MAX };
	struct json_w w = { .b = &b };

	jw_object(&w, NULL);
	fields_write(&w, token_fields, NELEM(token_fields), t);
	jw_end_object(&w);
	(void)fs_write_fast(a->dir, file_of(a, ".token.json").text, buf_str(&b), 0600, NULL);
	buf_wipe(&b);
}

static bool
lives(const struct account_token *t, dur_t left)
{
	return secret_is_set(t->text) && !wall_before(t->good_until, wall_add(wall_now(), left));
}

int
account_token(const struct account_book *a, struct arena *arena, const struct account_fetch *f,
    struct account_token *out, struct err *e)
{
	struct account_token fresh = { .text = SECRET("") };
	struct err why = { 0 };
	int held = -1, rc = 0;

	*out = read_token(a, arena);
	if (lives(out, f->left))
		return 0;
	if (a->dir >= 0)
		held = lock_take(a->dir, file_of(a, ".lock").text, LOCK_TRY, &why);
	if (why.kind == ERR_CONFLICT && lives(out, f->least))
		return 0;
	if (why.kind == ERR_CONFLICT)
		return err_set(e, ERR_CONFLICT, 0, "another process is asking for a credential of this account");
	/* Whoever held it may have fetched. That there is no lock to be had is no reason to be without a credential. */
	if (held >= 0)
		*out = read_token(a, arena);
	if (!lives(out, f->left)) {
		rc = f->fetch(f->ctx, arena, &fresh.text, &fresh.good_until, &why);
		if (rc == 0)
			*out = fresh;
		else if (lives(out, f->least))
			rc = 0;
		else
			*e = why;
		if (secret_is_set(fresh.text) && held >= 0)
			keep_token(a, out);
	}
	if (held >= 0)
		close(held);
	return rc;
}

void
account_token_forget(const struct account_book *a, struct secret refused)
{
	struct arena arena = { 0 };
	/* Who holds it is fetching another one. */
	int held = a->dir >= 0 ? lock_take(a->dir, file_of(a, ".lock").text, LOCK_TRY, NULL) : -1;

	if (held >= 0 && secret_equal(read_token(a, &arena).text, refused))
		unlinkat(a->dir, file_of(a, ".token.json").text, 0);
	if (held >= 0)
		close(held);
	arena_reset(&arena);
}
