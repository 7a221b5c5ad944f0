/* machine/certs: one working set whoever comes first, and certificates that others accept. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mbedtls/x509_crt.h>

#include "books/store.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/proc.h"
#include "machine/certs.h"
#include "machine/config_json.h"
#include "tap.h"

#define PROCESSES	8

static char top[64], store[96];
static struct arena arena;
static struct certs_paths paths;

static char *
in_store(const char *rest)
{
	return arena_fmt(&arena, "%s/%s", store, rest);
}

static void
fresh(const char *name)
{
	snprintf(store, sizeof(store), "%s/%s", top, name);
	fs_mkdirs(store, 0700, NULL);
	paths = certs_default(&arena, store);
}

/* Runs a shell command; its exit status, and what it printed in *out. */
static int
sh(struct buf *out, const char *fmt, ...)
{
	char cmd[2000];
	const char *argv[] = { "sh", "-c", cmd, NULL };
	struct err e = { 0 };
	va_list ap;
	int rc;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	rc = proc_run(argv, STR_NULL, out, mono_after(60 * NSEC_SEC), &e);
	if (rc != 0)
		printf("# %s: %d %s%s\n", cmd, rc, out != NULL && out->p != NULL ? out->p : "", rc < 0 ? e.msg : "");
	return rc;
}

static int
mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

static void
sum(const char *path, char out[65])
{
	struct buf b = { 0 };
	uint8_t digest[32];

	fs_read(AT_FDCWD, path, 1 << 20, &b, NULL);
	hash_sha256(b.p, b.n, digest);
	hash_hex(digest, 32, out);
	buf_free(&b);
}

static void
test_eight_at_once(void)
{
	pid_t pid[PROCESSES];
	int go[2], good = 0, status;
	char byte;

	fresh("race");
	ok(pipe(go) == 0, "pipe");
	for (int i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			struct err e = { 0 };

			close(go[1]);
			(void)!read(go[0], &byte, 1);
			if (certs_ensure(store, &paths, &e) < 0 || certs_check(&paths, &e) < 0)
				printf("# process %d: %s\n", i, e.msg);
			fflush(stdout);
			_exit(e.kind != ERR_NONE);
		}
	}
	close(go[0]);
	close(go[1]);	/* all at once */
	for (int i = 0; i < PROCESSES; i++)
		good += waitpid(pid[i], &status, 0) == pid[i] && status == 0;
	is_int(good, PROCESSES, "eight first runs at once all see a working set");
	is_int(sh(NULL, "openssl verify -CAfile %s %s >&2", paths.ca, paths.cert), 0, "the client's certificate verifies");
	is_int(sh(NULL, "test \"$(ls -A %s/certs | tr '\\n' ' ')\" = '.lock ca-key.pem ca.pem cert.pem key.pem '", store), 0,
	    "there is nothing else");
	is_int(mode_of(paths.ca), 0644, "mode of ca.pem");
	is_int(mode_of(paths.ca_key), 0600, "mode of ca-key.pem");
	is_int(mode_of(paths.key), 0600, "mode of key.pem");
	is_int(mode_of(in_store("certs")), 0700, "mode of certs/");
}

static void
test_form(void)
{
	static const struct { const char *what, *want; } ca[] = {
		{ "Issuer: O=tester\n", "the issuer" }, { "Subject: O=tester\n", "the subject" },
		{ "CA:TRUE\n", "it is an authority" }, { "Basic Constraints: critical", "critically so" },
		{ "Digital Signature, Key Encipherment, Key Agreement, Certificate Sign", "its usage" },
		{ "sha256WithRSAEncryption", "its signature" }, { "(2048 bit)", "its key" }, { "Exponent: 65537", "its exponent" },
	}, client[] = {
		{ "Issuer: O=tester\n", "the issuer" }, { "Subject: O=tester.\\<bootstrap\\>\n", "the subject" },
		{ "CA:FALSE\n", "no authority" }, { "TLS Web Client Authentication", "for clients" },
		{ "X509v3 Extended Key Usage: \n", "not critically so" },
	};
	struct buf b = { 0 };
	struct buf end = { 0 };

	sh(&b, "openssl x509 -noout -text -nameopt RFC2253 -in %s", paths.ca);
	for (size_t i = 0; i < NELEM(ca); i++)
		ok(b.p != NULL && strstr(b.p, ca[i].what) != NULL, "authority: %s", ca[i].want);
	buf_clear(&b);
	sh(&b, "openssl x509 -noout -text -nameopt RFC2253 -in %s", paths.cert);
	for (size_t i = 0; i < NELEM(client); i++)
		ok(b.p != NULL && strstr(b.p, client[i].what) != NULL, "client: %s", client[i].want);
	sh(&end, "s=$(date -ud \"$(openssl x509 -noout -startdate -in %s | cut -d= -f2)\" +%%s); "
	    "e=$(date -ud \"$(openssl x509 -noout -enddate -in %s | cut -d= -f2)\" +%%s); "
	    "n=$(date +%%s); echo $(((e - s) / 86400)) $((s %% 60)) $((n - s >= 300 && n - s < 480))", paths.ca, paths.ca);
	is_str(end.p, "1080 0 1\n", "1080 days, from five minutes ago, seconds cut");
	ok(sh(NULL, "head -1 %s | grep -q 'BEGIN RSA PRIVATE KEY'", paths.ca_key) == 0, "the key is PKCS#1");
	buf_free(&b);
	buf_free(&end);
}

static void
test_again(void)
{
	char before[65], after[65];
	struct err e = { 0 };

	sum(paths.cert, before);
	is_int(certs_ensure(store, &paths, &e), 0, "once more");
	sum(paths.cert, after);
	is_str(after, before, "  changes nothing");
}

static int
make_server(const struct certs_paths *p, const char *name, const char *ip, const struct field_list *sans, enum certs_key kind)
{
	struct certs_server s = { .name = name, .ip = ip, .sans = sans, .key = kind };
	struct buf cert = { 0 }, key = { 0 };
	struct err e = { 0 };
	int rc = certs_server_make(p, &s, &cert, &key, &e);

	if (rc < 0)
		printf("# %s\n", e.msg);
	fs_write_fast(AT_FDCWD, in_store("server.pem"), buf_str(&cert), 0644, NULL);
	fs_write_fast(AT_FDCWD, in_store("server-key.pem"), buf_str(&key), 0600, NULL);
	buf_free(&cert);
	buf_free(&key);
	return rc;
}

static void
test_server(void)
{
	const char *names[] = { "extra.example", "10.9.9.9", "::1" };
	struct field_list sans = { names, 3, false };
	struct buf cert = { 0 }, ca = { 0 }, b = { 0 };

	is_int(make_server(&paths, "runner-x-1", "10.0.0.7", &sans, CERTS_EC_P256), 0, "a machine's pair");
	fs_read(AT_FDCWD, in_store("server.pem"), 1 << 16, &cert, NULL);
	fs_read(AT_FDCWD, paths.ca, 1 << 16, &ca, NULL);
	is_int(sh(NULL, "openssl verify -CAfile %s -purpose sslserver -verify_ip 10.0.0.7 %s >&2", paths.ca, in_store("server.pem")), 0,
	    "  verifies for its address");
	is_int(sh(NULL, "openssl verify -CAfile %s -purpose sslserver -verify_hostname runner-x-1 %s >&2", paths.ca,
	    in_store("server.pem")), 0, "  and for its name");
	sh(&b, "openssl x509 -noout -ext subjectAltName -in %s | tail -1", in_store("server.pem"));
	is_str(b.p, "    DNS:extra.example, IP Address:10.9.9.9, IP Address:0:0:0:0:0:0:0:1, IP Address:10.0.0.7, DNS:runner-x-1, DNS:localhost\n",
	    "  alternative names in order");
	ok(sh(NULL, "test \"$(openssl x509 -noout -pubkey -in %s)\" = \"$(openssl pkey -pubout -in %s)\"",
	    in_store("server.pem"), in_store("server-key.pem")) == 0, "  the key belongs to it");
	ok(certs_has_name(buf_str(&cert), "runner-x-1") && !certs_has_name(buf_str(&cert), "runner-x-2"), "  names are found");
	ok(!certs_has_name(buf_str(&ca), "runner-x-1"), "  where there are any");
	is_int(make_server(&paths, "r2", "host.example", NULL, CERTS_RSA_2048), 0, "an RSA pair, for a machine known by name");
	is_int(sh(NULL, "openssl verify -CAfile %s -purpose sslserver -verify_hostname host.example %s >&2", paths.ca,
	    in_store("server.pem")), 0, "  verifies");
	buf_free(&cert);
	buf_free(&ca);
	buf_free(&b);
}

/* Go compares names byte by byte: an authority with PrintableString must be copied as it is. */
static void
test_foreign_authority(void)
{
	mbedtls_x509_crt ca, server;

	fresh("foreign");
	fs_mkdirs(in_store("certs"), 0700, NULL);
	is_int(sh(NULL, "printf '[req]\\ndistinguished_name=d\\nx509_extensions=v\\nstring_mask=nombstr\\nprompt=no\\n[d]\\nO=root\\nCN=a b\\n"
	    "[v]\\nbasicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign\\n' >%s/cnf && "
	    "openssl req -config %s/cnf -x509 -newkey rsa:2048 -nodes -days 30 -keyout %s -out %s 2>/dev/null", store, store,
	    paths.ca_key, paths.ca), 0, "an authority made by another program");
	is_int(make_server(&paths, "m", "10.0.0.1", NULL, CERTS_EC_P256), 0, "signs a machine's certificate");
	mbedtls_x509_crt_init(&ca);
	mbedtls_x509_crt_init(&server);
	mbedtls_x509_crt_parse_file(&ca, paths.ca);
	mbedtls_x509_crt_parse_file(&server, in_store("server.pem"));
	ok(ca.subject_raw.len > 10 && ca.subject_raw.len == server.issuer_raw.len &&
	    memcmp(ca.subject_raw.p, server.issuer_raw.p, ca.subject_raw.len) == 0, "  whose issuer is its subject byte for byte");
	is_int(ca.subject.val.tag, MBEDTLS_ASN1_PRINTABLE_STRING, "  which is no UTF8String");
	is_int(sh(NULL, "openssl verify -CAfile %s %s >&2", paths.ca, in_store("server.pem")), 0, "  and it verifies");
	mbedtls_x509_crt_free(&ca);
	mbedtls_x509_crt_free(&server);
}

/* Takes the good set of the race and damages it. */
static void
damaged(const char *name, const char *how)
{
	char from[96];

	snprintf(from, sizeof(from), "%s/race/certs", top);
	fresh(name);
	fs_mkdirs(in_store("certs"), 0700, NULL);
	sh(NULL, "cp -p %s/*.pem %s/certs/ && cd %s/certs && %s", from, store, store, how);
}

static void
machine_with_certificate(void)
{
	fs_mkdirs(in_store("machines/m"), 0700, NULL);
	fs_write_fast(AT_FDCWD, in_store("machines/m/config.json"), STR("{}"), 0600, NULL);
	fs_write_fast(AT_FDCWD, in_store("machines/m/server.pem"), STR("x"), 0600, NULL);
}

static void
test_damage(void)
{
	static const struct { const char *name, *how, *word; bool replaced; } cases[] = {
		{ "nokey", "rm ca-key.pem", "is missing", true },
		{ "noca", "rm ca.pem", "is missing", true },
		{ "mixed", "openssl genrsa -traditional 2048 >ca-key.pem 2>/dev/null", "do not belong together", true },
		{ "rubbish", "echo hello >ca.pem", "is not a certificate", true },
		{ "empty", ": >ca-key.pem", "is not a private key", true },
		{ "onlyclient", "rm ca.pem ca-key.pem", "the client's files are there", true },
		{ "otherca", "openssl req -x509 -newkey rsa:2048 -nodes -subj /O=x -days 9 -keyout ca-key.pem -out ca.pem 2>/dev/null",
		  "was not signed by", true },
		{ "noclient", "rm cert.pem key.pem", "cert.pem is missing", false },
		{ "halfclient", "rm cert.pem", "cert.pem is missing", false },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		char ca_before[65], ca_after[65];
		struct err e = { 0 };

		damaged(cases[i].name, cases[i].how);
		sum(paths.ca, ca_before);
		ok(certs_check(&paths, &e) < 0 && strstr(e.msg, cases[i].word) != NULL, "%s is noticed: %s", cases[i].name, e.msg);
		if (cases[i].replaced) {
			machine_with_certificate();
			ok(certs_ensure(store, &paths, &e) < 0 && strstr(e.msg, "machines depend on them") != NULL,
			    "  and not replaced while a machine depends on it");
			fs_remove_tree(AT_FDCWD, in_store("machines"), NULL);
		}
		e = (struct err){ 0 };
		is_int(certs_ensure(store, &paths, &e), 0, "  it is mended %s", e.msg);
		is_int(certs_check(&paths, &e), 0, "  all is well then %s", e.msg);
		sum(paths.ca, ca_after);
		if (cases[i].replaced)
			is_int(sh(NULL, "test -n \"$(ls %s/certs/broken-*/)\"", store), 0, "  the old files are kept");
		else
			is_str(ca_after, ca_before, "  under the same authority");
	}
}

/* A client certificate past two thirds of its life. */
static void
test_renewal(void)
{
	char before[65], after[65];
	struct err e = { 0 };

	damaged("old", "printf 'basicConstraints=critical,CA:FALSE\\nextendedKeyUsage=clientAuth\\n' >x && "
	    "openssl req -new -key key.pem -subj /O=me -out r && openssl x509 -req -in r -CA ca.pem -CAkey ca-key.pem "
	    "-set_serial 7 -days 1 -extfile x -out cert.pem 2>/dev/null && rm x r");
	sum(paths.cert, before);
	is_int(certs_ensure(store, &paths, &e), 0, "a young certificate");
	sum(paths.cert, after);
	is_str(after, before, "  is left alone");
	damaged("older", "openssl req -new -key key.pem -subj /O=me -out r && openssl x509 -req -in r -CA ca.pem -CAkey ca-key.pem "
	    "-set_serial 7 -days 0 -out cert.pem 2>/dev/null && rm r && sleep 1.1");
	machine_with_certificate();
	is_int(certs_ensure(store, &paths, &e), 0, "an expired one, with machines depending on the authority %s", e.msg);
	is_int(certs_check(&paths, &e), 0, "  is made anew under it %s", e.msg);
}

/* Seconds of a certificate's notAfter. */
static long
end_of(const char *path)
{
	struct buf b = { 0 };
	long end;

	sh(&b, "date -ud \"$(openssl x509 -noout -enddate -in %s | cut -d= -f2)\" +%%s", path);
	end = b.p != NULL ? strtol(b.p, NULL, 10) : 0;
	buf_free(&b);
	return end;
}

#define CUT_SHORT(days) "openssl x509 -in ca.pem -signkey ca-key.pem -days " days " -out new.pem 2>/dev/null && mv new.pem ca.pem"

/* 27, 28: an authority near its end, or past it: the next one has its name and key, and both sides trust either. */
static void
test_authority_ends(void)
{
	static const struct { const char *name, *how; bool renewed; } cases[] = {
		{ "five-days", CUT_SHORT("5"), true },
		{ "past", CUT_SHORT("0") " && sleep 1.1", true },
		{ "hundred-days", CUT_SHORT("100"), false },
		{ "of-dm", "printf '[req]\\ndistinguished_name=d\\nx509_extensions=v\\nstring_mask=nombstr\\nprompt=no\\n[d]\\nO=root\\n"
		    "[v]\\nbasicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign\\n' >cnf && openssl req -config cnf -x509 -newkey rsa:2048 "
		    "-nodes -days 5 -keyout ca-key.pem -out ca.pem 2>/dev/null && rm cnf cert.pem", true },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		const bool past = strcmp(cases[i].name, "past") == 0, whole = strcmp(cases[i].name, "of-dm") != 0;
		char key[65], key_after[65], client_key[65], client_key_after[65];
		struct err e = { 0 };
		long was, is, client;

		damaged(cases[i].name, cases[i].how);
		sh(NULL, "cp %s %s/old.pem", paths.ca, store);
		if (!past)
			is_int(make_server(&paths, "m", "10.0.0.1", NULL, CERTS_EC_P256), 0, "%s: a machine's certificate", cases[i].name);
		was = end_of(paths.ca);
		ok(past || end_of(in_store("server.pem")) == was, "  ends with its authority");
		sum(paths.ca_key, key);
		sum(paths.key, client_key);
		machine_with_certificate();
		is_int(certs_renew(store, &e), 0, "  looked at, with a machine depending on it %s", e.msg);
		is = end_of(paths.ca);
		ok(cases[i].renewed ? is - was > 900L * 86400 : is == was, "  it is renewed if it is near its end");
		is_int(certs_ca_ends(store), is, "  its end is told");
		sum(paths.ca_key, key_after);
		sum(paths.key, client_key_after);
		is_str(key_after, key, "  with its key");
		ok(!whole || strcmp(client_key, client_key_after) == 0, "  and the client's");
		is_int(certs_check(&paths, &e), 0, "  all is well %s", e.msg);
		client = end_of(paths.cert);
		ok(!cases[i].renewed || client <= is, "  the client's certificate ends no later");
		is_int(sh(NULL, "openssl verify -CAfile %s %s >&2", paths.ca, paths.cert), 0, "  and verifies");
		if (past)
			continue;
		is_int(sh(NULL, "openssl verify -CAfile %s %s >&2", paths.ca, in_store("server.pem")), 0, "  the old machine is trusted under the new authority");
		is_int(sh(NULL, "openssl verify -CAfile %s/old.pem %s >&2", store, paths.cert), 0, "  the new client under the old one");
		is_int(make_server(&paths, "n", "10.0.0.2", NULL, CERTS_EC_P256), 0, "  a new machine");
		is_int(sh(NULL, "openssl verify -CAfile %s/old.pem %s >&2", store, in_store("server.pem")), 0, "  is trusted by whoever has the old authority");
	}
	is_int(sh(NULL, "test \"$(openssl x509 -noout -subject_hash -in %s)\" = \"$(openssl x509 -noout -subject_hash -in %s/old.pem)\"", paths.ca, store), 0,
	    "a foreign name is taken over");
}

static void
test_ends(void)
{
	struct buf b = { 0 };
	int dir;

	damaged("soon", CUT_SHORT("70"));
	is_int(make_server(&paths, "m", "10.0.0.1", NULL, CERTS_EC_P256), 0, "a machine");
	sh(NULL, "mkdir -p %s/machines/m && cp %s %s/machines/m/ca.pem && cp %s %s/machines/m/", store, paths.ca, store, in_store("server.pem"), store);
	dir = fs_opendir(AT_FDCWD, in_store("machines/m"), NULL);
	is_int(certs_machine_ends(dir), end_of(paths.ca), "  ends with the first of its certificates");
	close(dir);
	dir = fs_opendir(AT_FDCWD, in_store("certs"), NULL);
	is_int(certs_machine_ends(dir), 0, "  what is no machine has no end");
	close(dir);
	ok(certs_say(store, &b) && strstr(b.p, "certs/ca.pem ends on 20") != NULL && strstr(b.p, "renews it") != NULL, "70 days before: %s", b.p);
	buf_clear(&b);
	damaged("not-soon", CUT_SHORT("100"));
	ok(!certs_say(store, &b) && b.n == 0, "100 days before nothing is said");
	fresh("nothing");
	ok(!certs_say(store, &b) && certs_ca_ends(store) == 0 && certs_renew(store, NULL) == 0 && !fs_exists(AT_FDCWD, paths.ca),
	    "where there is no authority none is made");
	buf_free(&b);
}

/* What cannot be renewed is used as long as it lasts. */
static void
test_authority_stays(void)
{
	char before[65], after[65];
	struct buf b = { 0 };
	struct err e = { 0 };

	damaged("many-parts", "printf '[req]\\ndistinguished_name=d\\nx509_extensions=v\\nprompt=no\\n[d]\\nO=a\\n0.OU=b\\n1.OU=c\\n[v]\\n"
	    "basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign\\n' >cnf && openssl req -config cnf -x509 -newkey rsa:2048 -nodes -days 5 "
	    "-keyout ca-key.pem -out ca.pem 2>/dev/null && printf 'extendedKeyUsage=clientAuth\\n' >x && openssl req -new -key key.pem -subj /O=me "
	    "-out r && openssl x509 -req -in r -CA ca.pem -CAkey ca-key.pem -set_serial 7 -days 4 -extfile x -out cert.pem 2>/dev/null");
	sum(paths.ca, before);
	is_int(certs_ensure(store, &paths, &e), 0, "a name that cannot be taken over: the authority is used until it ends %s", e.msg);
	is_int(e.kind, ERR_NONE, "  which is no failure");
	sum(paths.ca, after);
	is_str(after, before, "  it is as it was");
	sh(NULL, "rm %s", paths.ca_key);
	ok(certs_say(store, &b) && strstr(b.p, "ca-key.pem is not there") != NULL, "without its key: %s", b.p);
	buf_free(&b);
}

static void
test_elsewhere(void)
{
	struct certs_paths other = paths;
	struct err e = { 0 };

	other.ca = "/nonexistent/ca.pem";
	is_int(certs_ensure(store, &other, &e), -1, "files named elsewhere are not made");
	ok(!fs_exists(AT_FDCWD, "/nonexistent"), "  nor their directory");
}

int
main(void)
{
	snprintf(top, sizeof(top), "/tmp/wl-certs-test.%ld", (long)getpid());
	setenv("USER", "tester", 1);
	umask(022);
	test_eight_at_once();
	test_form();
	test_again();
	test_server();
	test_foreign_authority();
	test_damage();
	test_renewal();
	test_authority_ends();
	test_ends();
	test_authority_stays();
	test_elsewhere();
	fs_remove_tree(AT_FDCWD, top, NULL);
	arena_reset(&arena);
	return done_testing();
}
