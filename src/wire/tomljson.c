/* TOML to JSON: see tomljson.h. */
#include "core/buf.h"
#include "wire/tomljson.h"

void
jw_toml(struct json_w *w, struct str key, const struct toml *v)
{
	struct buf b = { 0 };
	struct json_w in = { .b = &b };

	switch (v->type) {
	case TOML_STRING:
		jw_str(&in, NULL, v->s);
		break;
	case TOML_INTEGER:
		jw_i64(&in, NULL, v->i);
		break;
	case TOML_FLOAT:
		jw_f64(&in, NULL, v->f);
		break;
	case TOML_BOOL:
		jw_bool(&in, NULL, v->b);
		break;
	case TOML_ARRAY:
		jw_array(&in, NULL);
		TOML_EACH(e, v)
			jw_toml(&in, STR_NULL, e);
		jw_end_array(&in);
		break;
	case TOML_TABLE:
		jw_object(&in, NULL);
		TOML_EACH(e, v)
			jw_toml(&in, e->key, e);
		jw_end_object(&in);
		break;
	default:
		jw_null(&in, NULL);
		break;
	}
	if (key.p != NULL)
		jw_rawkey(w, key, buf_str(&b));
	else
		jw_raw(w, NULL, buf_str(&b));
	buf_wipe(&b);
}
