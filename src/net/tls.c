/*
 * TLS connections; see tls.h. BearSSL's engine is a state machine over two
 * buffers: it never touches the socket. pump() is the one place where
 * records move between them, so it is the one place that waits.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bearssl.h>

#include "core/rand.h"
#include "net/ca.h"
#include "net/dial.h"
#include "net/tls.h"
#include "net/verify.h"
#include "wire/pem.h"

/*
 * Peers send records of up to 16 KB whatever we ask for; our own we may cut
 * small. BearSSL counts 85 bytes of overhead for the largest record it makes.
 */
#define OUT_FRAGMENT	4096
#define OUT_OVERHEAD	85
#define AHEAD		4096
#define NAME_MAX_DNS	255
#define FIRST_BYTES	11	/* head of a record, head of a handshake message, version of a ServerHello */
#define IDENTITY_CERTS	8
#define PEM_MAX		(4u << 20)

struct tls {
	br_ssl_client_context	 cc;
	int			 fd;
	bool			 open;		/* the handshake is over */
	bool			 cert_asked;	/* the server wants a client certificate */
	bool			 deaf;		/* the peer takes no more bytes: send_err says why */
	struct err		 send_err;
	char			 host[NAME_MAX_DNS + 1];
	uint8_t			 first[FIRST_BYTES];	/* that the peer sent: they tell what it speaks */
	size_t			 nfirst;
	const br_ssl_client_certificate_class *no_cert;	/* for servers that ask and get none */
	struct verify		*verify;	/* only during the handshake */
	struct buf		 chain;
	size_t			 ahead_at, nahead;	/* what was received and BearSSL has not asked for yet */
	unsigned char		 ahead[AHEAD];
	unsigned char		 in[BR_SSL_BUFSIZE_INPUT];
	unsigned char		 out[OUT_FRAGMENT + OUT_OVERHEAD];
};

struct tls_identity {
	struct arena		 mem;
	struct buf		 der;
	br_x509_certificate	 chain[IDENTITY_CERTS];
	size_t			 nchain;
	br_skey_decoder_context	 key;
};

/* At least one, in DER, which `left` then begins at. */
static int
read_certs(struct tls_trust *t, struct str pem, struct str *left, struct err *e)
{
	ssize_t n;

	t->certs.max = PEM_MAX;
	n = ca_pem_certs(pem, &t->certs, e);
	if (n == 0)
		return err_set(e, ERR_PARSE, 0, "no certificate in it (-----BEGIN CERTIFICATE-----)");
	*left = buf_str(&t->certs);
	return n < 0 ? -1 : (int)n;
}

struct tls_trust *
tls_trust_new(struct str pem, bool with_system, const char *what, struct err *e)
{
	struct tls_trust *t = xcalloc(1, sizeof(*t));
	struct str left;
	struct x509 c;
	int n;

	t->with_system = with_system;
	if (pem.n == 0)
		return t;
	if ((n = read_certs(t, pem, &left, e)) < 0)
		goto fail;
	for (int i = 1; i <= n; i++)
		if (x509_next(&left, &c, e) != 1) {
			err_ctx(e, "certificate %d", i);
			goto fail;
		}
	return t;
fail:
	err_ctx(e, "%s", what);
	tls_trust_free(t);
	return NULL;
}

void
tls_trust_keep_chain(struct tls_trust *t)
{
	t->keep_chain = true;
}

struct tls_trust *
tls_trust_key(struct str cert_pem, const char *what, struct err *e)
{
	struct tls_trust *t = xcalloc(1, sizeof(*t));
	struct str left;

	t->pinned = true;
	if (read_certs(t, cert_pem, &left, e) < 0 || x509_next(&left, &t->pin, e) != 1 ||
	    ca_public_key(&t->mem, t->pin.der, &t->pin_key, e) < 0)
		goto fail;
	return t;
fail:
	err_ctx(e, "%s", what);
	tls_trust_free(t);
	return NULL;
}

void
tls_trust_free(struct tls_trust *t)
{
	if (t == NULL)
		return;
	buf_free(&t->certs);
	arena_reset(&t->mem);
	free(t);
}

/* Decodes the first private key of a PEM text. */
static int
parse_key(struct str pem, br_skey_decoder_context *key, struct err *e)
{
	struct buf der = { .max = 64 << 10 };
	struct str label, whole;
	int found, rc = -1;

	/* The old kind of encryption is told by a header inside of the block, which RFC 7468 does not know. */
	if (str_find(pem, "ENCRYPTED") >= 0)
		return err_set(e, ERR_CONFIG, 0, "the key is encrypted: remove its passphrase (openssl pkey -in KEY -out NEW)");
	while ((found = pem_next(&pem, &label, &der, &whole, e)) == 1 && !str_ends(label, "PRIVATE KEY"))
		buf_wipe(&der);
	if (found == 0)
		err_set(e, ERR_PARSE, 0, "no private key in it (-----BEGIN PRIVATE KEY-----)");
	if (found != 1)
		goto out;
	if (str_eqc(label, "OPENSSH PRIVATE KEY")) {
		err_set(e, ERR_PARSE, 0, "an SSH key in OpenSSH's own format is no TLS key");
		goto out;
	}
	br_skey_decoder_init(key);
	br_skey_decoder_push(key, der.p, der.n);
	if (br_skey_decoder_last_error(key) == 0)
		rc = 0;
	else
		err_set(e, ERR_PARSE, br_skey_decoder_last_error(key),
		    "the key cannot be used: RSA up to 4096 bits and ECDSA on P-256, P-384 and P-521 can");
out:
	buf_wipe(&der);
	return rc;
}

static bool
same_number(const unsigned char *a, size_t na, const unsigned char *b, size_t nb)
{
	while (na > 0 && *a == 0)
		a++, na--;
	while (nb > 0 && *b == 0)
		b++, nb--;
	return na == nb && memcmp(a, b, na) == 0;
}

/* Whether the private key is that of the certificate. */
static bool
key_fits(const br_x509_pkey *pub, const br_skey_decoder_context *key)
{
	const br_rsa_private_key *rsa = br_skey_decoder_get_rsa(key);
	const br_ec_private_key *ec = br_skey_decoder_get_ec(key);

	if (rsa != NULL && pub->key_type == BR_KEYTYPE_RSA) {
		unsigned char n[BR_X509_BUFSIZE_KEY];
		size_t len = br_rsa_compute_modulus_get_default()(NULL, rsa);

		if (len == 0 || len > sizeof(n) || br_rsa_compute_modulus_get_default()(n, rsa) != len)
			return false;
		return same_number(n, len, pub->key.rsa.n, pub->key.rsa.nlen);
	}
	if (ec != NULL && pub->key_type == BR_KEYTYPE_EC && ec->curve == pub->key.ec.curve) {
		unsigned char q[BR_EC_KBUF_PUB_MAX_SIZE];
		br_ec_public_key made;

		return br_ec_compute_pub(br_ec_get_default(), &made, q, ec) == pub->key.ec.qlen &&
		    memcmp(q, pub->key.ec.q, pub->key.ec.qlen) == 0;
	}
	return false;
}

struct tls_identity *
tls_identity_new(struct str cert_pem, struct str key_pem, const char *what, struct err *e)
{
	struct tls_identity *id = xcalloc(1, sizeof(*id));
	br_x509_pkey pub;
	struct str left;
	struct x509 c;
	int rc;

	id->der.max = 64 << 10;
	if (ca_pem_certs(cert_pem, &id->der, e) < 0)
		goto fail;
	left = buf_str(&id->der);
	while ((rc = x509_next(&left, &c, e)) == 1) {
		if (id->nchain == IDENTITY_CERTS) {
			err_set(e, ERR_PARSE, 0, "more than %d certificates", IDENTITY_CERTS);
			goto fail;
		}
		id->chain[id->nchain++] = (br_x509_certificate){ (unsigned char *)(uintptr_t)c.der.p, c.der.n };
	}
	if (rc < 0)
		goto fail;
	if (id->nchain == 0) {
		err_set(e, ERR_PARSE, 0, "no certificate in it (-----BEGIN CERTIFICATE-----)");
		goto fail;
	}
	if (parse_key(key_pem, &id->key, e) < 0)
		goto fail;
	if (ca_public_key(&id->mem, str_of(id->chain[0].data, id->chain[0].data_len), &pub, e) < 0)
		goto fail;
	if (!key_fits(&pub, &id->key)) {
		err_set(e, ERR_CONFIG, 0, "the key does not belong to the certificate");
		goto fail;
	}
	return id;
fail:
	err_ctx(e, "%s", what);
	tls_identity_free(id);
	return NULL;
}

void
tls_identity_free(struct tls_identity *id)
{
	if (id == NULL)
		return;
	buf_free(&id->der);
	arena_reset(&id->mem);
	explicit_bzero(id, sizeof(*id));
	free(id);
}

/*
 * A server that asks for a client certificate when we have none gets an
 * empty answer, which it may accept; if it does not, this is how we know why.
 */
static struct tls *
of_no_cert(const br_ssl_client_certificate_class **p)
{
	return (struct tls *)(void *)((char *)p - offsetof(struct tls, no_cert));
}

static void
no_cert_asked(const br_ssl_client_certificate_class **p)
{
	of_no_cert(p)->cert_asked = true;
}

static void
no_cert_name(const br_ssl_client_certificate_class **p, size_t n)
{
	(void)p;
	(void)n;
}

static void
no_cert_append(const br_ssl_client_certificate_class **p, const unsigned char *data, size_t n)
{
	(void)p;
	(void)data;
	(void)n;
}

static void
no_cert_end(const br_ssl_client_certificate_class **p)
{
	(void)p;
}

static void
no_cert_choose(const br_ssl_client_certificate_class **p, const br_ssl_client_context *cc,
    uint32_t auth_types, br_ssl_client_certificate *choices)
{
	(void)p;
	(void)cc;
	(void)auth_types;
	memset(choices, 0, sizeof(*choices));
}

static const br_ssl_client_certificate_class no_cert_class = {
	.context_size = sizeof(const br_ssl_client_certificate_class *),
	.start_name_list = no_cert_asked,
	.start_name = no_cert_name,
	.append_name = no_cert_append,
	.end_name = no_cert_end,
	.end_name_list = no_cert_end,
	.choose = no_cert_choose,
};

static void
set_suites(br_ssl_engine_context *eng)
{
	static const uint16_t aes_first[] = {
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384,
		BR_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,
	};
	static const uint16_t chacha_first[] = {
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384,
		BR_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,
	};

	/* Without AES instructions the constant-time AES is several times slower than ChaCha20. */
	if (br_aes_x86ni_ctr_get_vtable() != NULL || br_aes_pwr8_ctr_get_vtable() != NULL)
		br_ssl_engine_set_suites(eng, aes_first, NELEM(aes_first));
	else
		br_ssl_engine_set_suites(eng, chacha_first, NELEM(chacha_first));
}

static void
set_up(struct tls *t, const struct tls_identity *id)
{
	static const struct { int id; const br_hash_class *impl; } hashes[] = {
		{ br_sha256_ID, &br_sha256_vtable },
		{ br_sha384_ID, &br_sha384_vtable },
		{ br_sha512_ID, &br_sha512_vtable },
	};
	br_ssl_client_context *cc = &t->cc;
	br_ssl_engine_context *eng = &cc->eng;
	unsigned char seed[32];

	br_ssl_client_zero(cc);
	br_ssl_engine_set_versions(eng, BR_TLS12, BR_TLS12);
	set_suites(eng);
	br_ssl_engine_set_default_rsavrfy(eng);
	br_ssl_engine_set_default_ecdsa(eng);
	for (size_t i = 0; i < NELEM(hashes); i++)
		br_ssl_engine_set_hash(eng, hashes[i].id, hashes[i].impl);
	br_ssl_engine_set_prf_sha256(eng, &br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(eng, &br_tls12_sha384_prf);
	br_ssl_engine_set_default_aes_cbc(eng);
	br_ssl_engine_set_default_aes_gcm(eng);
	br_ssl_engine_set_default_chapol(eng);
	br_ssl_engine_add_flags(eng, BR_OPT_NO_RENEGOTIATION);
	br_ssl_engine_set_x509(eng, &t->verify->vtable);
	if (id == NULL) {
		t->no_cert = &no_cert_class;
		br_ssl_client_set_client_certificate(cc, &t->no_cert);
	} else if (br_skey_decoder_key_type(&id->key) == BR_KEYTYPE_RSA) {
		br_ssl_client_set_single_rsa(cc, id->chain, id->nchain, br_skey_decoder_get_rsa(&id->key),
		    br_rsa_pkcs1_sign_get_default());
	} else {
		br_ssl_client_set_single_ec(cc, id->chain, id->nchain, br_skey_decoder_get_ec(&id->key),
		    BR_KEYTYPE_SIGN, 0, br_ec_get_default(), br_ecdsa_sign_asn1_get_default());
	}
	br_ssl_engine_set_buffers_bidi(eng, t->in, sizeof(t->in), t->out, sizeof(t->out));
	/*
	 * A small output buffer makes BearSSL ask the peer for small records too.
	 * Our input takes full ones, and not every server knows the extension.
	 */
	eng->log_max_frag_len = 14;
	rand_bytes(seed, sizeof(seed));
	br_ssl_engine_inject_entropy(eng, seed, sizeof(seed));
	explicit_bzero(seed, sizeof(seed));
}

static const char *
alert_words(int alert)
{
	static const struct { int alert; const char *words; } known[] = {
		{ 10, "unexpected message" },
		{ 20, "bad record" },
		{ 40, "handshake failure" },
		{ 42, "bad certificate" },
		{ 43, "unsupported certificate" },
		{ 44, "certificate revoked" },
		{ 45, "certificate expired" },
		{ 46, "certificate unknown" },
		{ 47, "illegal parameter" },
		{ 48, "unknown certificate authority" },
		{ 49, "access denied" },
		{ 51, "decrypt error" },
		{ 70, "protocol version" },
		{ 71, "insufficient security" },
		{ 80, "internal error" },
		{ 112, "unrecognised name: the server does not serve this host name" },
		{ 116, "certificate required" },
	};

	for (size_t i = 0; i < NELEM(known); i++)
		if (known[i].alert == alert)
			return known[i].words;
	return "see RFC 8446 section 6";
}

enum { RECORD_ALERT = 0x15, RECORD_HANDSHAKE = 0x16, RECORD_DATA = 0x17, SERVER_HELLO = 2 };
/* RFC 5246 7.2 */
enum { ALERT_WARNING = 1, ALERT_CLOSE_NOTIFY = 0 };

/*
 * The version that the server has settled on: its ServerHello says it, else the record of its first alert, which servers
 * write in the version that they chose before they looked for a cipher. 0 when it has not spoken yet.
 */
static unsigned
server_version(const struct tls *t)
{
	size_t at = t->first[0] == RECORD_HANDSHAKE && t->nfirst == FIRST_BYTES && t->first[5] == SERVER_HELLO ? 9 : 1;

	return t->nfirst >= at + 2 ? (unsigned)t->first[at] << 8 | t->first[at + 1] : 0;
}

static int
explain_version(struct tls *t, int code, struct err *e)
{
	static const char *const names[] = { "SSL 3.0", "TLS 1.0", "TLS 1.1" };
	unsigned version = server_version(t);

	if (version >= 0x300 && version < BR_TLS12)
		return err_set(e, ERR_TLS, code, "the server speaks %s at most, which is out of use; windlass speaks TLS 1.2: allow TLSv1.2 on %s",
		    names[version - 0x300], t->host);
	return err_set(e, ERR_TLS, code, "the server does not speak TLS 1.2: allow TLSv1.2 on %s", t->host);
}

/* The server's first words are an alert: what we offer does not suit it. Whether that says all. */
static bool
explain_refusal(struct tls *t, int alert, struct err *e)
{
	if (t->open || t->first[0] != RECORD_ALERT)
		return false;
	if (alert == 70) {
		/* Who has an older version answers in it (RFC 5246 E.1); this alert is for those that are above ours. */
		err_set(e, ERR_TLS, alert, "the server speaks TLS 1.3 only; windlass speaks TLS 1.2: "
		    "allow TLSv1.2 on %s (nginx: ssl_protocols TLSv1.2 TLSv1.3)", t->host);
		return true;
	}
	if (alert != 40 && alert != 71)
		return false;
	if (server_version(t) < BR_TLS12)
		explain_version(t, alert, e);
	else
		err_set(e, ERR_TLS, alert, "the server has no cipher in common: allow ECDHE with AES-GCM, ChaCha20-Poly1305 or AES-CBC "
		    "and SHA-2 on %s, such as ECDHE-RSA-AES128-GCM-SHA256 or ECDHE-ECDSA-AES128-GCM-SHA256 (alert %d: %s)", t->host,
		    alert, alert_words(alert));
	return true;
}

static int
explain_alert(struct tls *t, int alert, struct err *e)
{
	bool about_cert = (alert >= 42 && alert <= 46) || alert == 48 || alert == 49 || alert == 116;

	if (explain_refusal(t, alert, e))
		return -1;
	if (!t->open && t->cert_asked && (about_cert || alert == 40))
		return err_set(e, ERR_TLS, alert, "the server requires a client certificate and none is configured");
	if (!t->open && t->no_cert == NULL && about_cert)
		return err_set(e, ERR_TLS, alert, "the server refuses our client certificate (alert %d: %s)",
		    alert, alert_words(alert));
	/* Once the server has proved who it is, its troubles are passing ones. */
	return err_set(e, t->open ? ERR_NET : ERR_TLS, alert, "the server ended the %s (alert %d: %s)",
	    t->open ? "connection" : "handshake", alert, alert_words(alert));
}

static int
explain_other(struct tls *t, int code, struct err *e)
{
	struct str said = str_of(t->first, t->nfirst);
	const char *what = str_starts(said, "HTTP/") ? "plain HTTP" : str_starts(said, "SSH-") ? "SSH" : NULL;

	if (what != NULL)
		return err_set(e, ERR_TLS, code, "the server speaks %s on this port, not TLS", what);
	return err_set(e, ERR_TLS, code, "the server does not speak TLS on this port");
}

/* The engine has given up; says why. Always -1. */
static int
explain(struct tls *t, struct err *e)
{
	int code = br_ssl_engine_last_error(&t->cc.eng);

	if (t->verify != NULL && t->verify->why.kind != ERR_NONE)
		return err_set(e, ERR_TLS, t->verify->why.sys, "%s", t->verify->why.msg);
	if (code > BR_ERR_RECV_FATAL_ALERT && code < BR_ERR_SEND_FATAL_ALERT)
		return explain_alert(t, code - BR_ERR_RECV_FATAL_ALERT, e);
	/* Alert and handshake records are the only ones a TLS server may begin with. */
	if (!t->open && t->nfirst > 0 && t->first[0] != RECORD_ALERT && t->first[0] != RECORD_HANDSHAKE)
		return explain_other(t, code, e);
	switch (code) {
	case BR_ERR_BAD_VERSION:
	case BR_ERR_UNSUPPORTED_VERSION:
		return explain_version(t, code, e);
	case BR_ERR_BAD_CIPHER_SUITE:
		return err_set(e, ERR_TLS, code, "the server chose a cipher that is not supported");
	case BR_ERR_BAD_SIGNATURE:
		return err_set(e, ERR_TLS, code, "the server does not hold the private key of its certificate");
	case BR_ERR_BAD_MAC:
	case BR_ERR_BAD_FINISHED:
		return err_set(e, ERR_TLS, code, "a record was damaged or forged on its way");
	case BR_ERR_WRONG_KEY_USAGE:
		return err_set(e, ERR_TLS, code, "the server uses its certificate for what its key usage forbids");
	case BR_ERR_OK:
		return err_set(e, ERR_NET, 0, "the peer closed the connection");
	default:
		return err_set(e, ERR_TLS, code, "the server broke the protocol (BearSSL error %d)", code);
	}
}

/* One send(2) of the engine's records. 1 progress, 0 the socket is full, -1. */
static int
send_records(struct tls *t, struct err *e)
{
	br_ssl_engine_context *eng = &t->cc.eng;
	size_t n;
	unsigned char *p = br_ssl_engine_sendrec_buf(eng, &n);
	ssize_t sent = send(t->fd, p, n, MSG_NOSIGNAL);

	if (sent > 0) {
		br_ssl_engine_sendrec_ack(eng, (size_t)sent);
		return 1;
	}
	if (sent == -1 && errno == EINTR)
		return 1;
	if (sent == -1 && errno == EAGAIN)
		return 0;
	return err_set(e, ERR_NET, errno, "send: %s", strerror(errno));
}

/*
 * At most one recv(2) for the engine, which asks for a record's head and then for its rest. A server that sends
 * every line in a record of its own would cost two calls a line: so what is there is taken, and handed out
 * from memory. The rest of a long record goes straight to its place. 1 progress, 0 nothing there, -1.
 */
static int
recv_records(struct tls *t, struct err *e)
{
	size_t n;
	unsigned char *p = br_ssl_engine_recvrec_buf(&t->cc.eng, &n);
	ssize_t got = 0;

	if (t->nahead == 0 && n >= AHEAD)
		got = recv(t->fd, p, n, 0);
	else if (t->nahead == 0) {
		got = recv(t->fd, t->ahead, AHEAD, 0);
		t->ahead_at = 0;
		t->nahead = got > 0 ? (size_t)got : 0;
	}
	if (t->nahead > 0) {
		got = (ssize_t)(n < t->nahead ? n : t->nahead);
		memcpy(p, t->ahead + t->ahead_at, (size_t)got);
		t->ahead_at += (size_t)got;
		t->nahead -= (size_t)got;
	}
	if (got > 0) {
		for (ssize_t i = 0; i < got && t->nfirst < FIRST_BYTES; i++)
			t->first[t->nfirst++] = p[i];
		br_ssl_engine_recvrec_ack(&t->cc.eng, (size_t)got);
		return 1;
	}
	if (got == -1 && errno == EINTR)
		return 1;
	if (got == -1 && errno == EAGAIN)
		return 0;
	if (got == 0 && t->open)
		return err_set(e, ERR_NET, 0, "the connection was cut (it ended without TLS's own end)");
	if (got == 0)
		return err_set(e, ERR_NET, 0, "the peer closed the connection in the TLS handshake");
	return err_set(e, ERR_NET, errno, "recv: %s", strerror(errno));
}

/*
 * Moves records until the engine is in one of the states of `target`
 * (BR_SSL_SENDAPP, BR_SSL_RECVAPP) and has nothing left to send. 1 there, 0
 * the peer has ended the stream in order, -1.
 *
 * When the peer has closed and takes no more, what it said before is still
 * read: the alert that tells why, or the answer that made the rest needless.
 */
static int
pump(struct tls *t, unsigned target, mono_t deadline, struct err *e)
{
	br_ssl_engine_context *eng = &t->cc.eng;

	for (;;) {
		unsigned state = br_ssl_engine_current_state(eng);
		short events = 0;
		int rc;

		if (state & BR_SSL_CLOSED) {
			if (t->open && br_ssl_engine_last_error(eng) == BR_ERR_OK)
				return 0;
			return explain(t, e);
		}
		/* Data that has come is given out even when we could not send. */
		if ((state & target & BR_SSL_RECVAPP) != 0)
			return 1;
		if ((state & BR_SSL_SENDREC) && !t->deaf) {
			if ((rc = send_records(t, &t->send_err)) > 0)
				continue;
			if (rc == 0)
				events |= POLLOUT;
			else
				t->deaf = true;
		} else if ((state & target) != 0) {
			return 1;
		}
		/* Behind the peer's close_notify only ours is left to send, which nobody may want. */
		if (t->deaf && eng->shutdown_recv)
			return 0;
		/* Read also while the socket is full: the peer may wait for us to do so. */
		if (state & BR_SSL_RECVREC) {
			if ((rc = recv_records(t, e)) > 0)
				continue;
			if (rc < 0 && !t->deaf)
				return -1;
			events |= POLLIN;
		}
		if (t->deaf)
			return err_set(e, t->send_err.kind, t->send_err.sys, "%s", t->send_err.msg);
		/* With a buffer each way the engine always has something to wait for; better an end than a spin. */
		if (events == 0)
			return err_set(e, ERR_TLS, 0, "BearSSL is stuck (state %#x)", state);
		if (net_wait(t->fd, events, deadline, e) < 0)
			return -1;
	}
}

static void
free_tls(struct tls *t)
{
	close(t->fd);
	if (t->verify != NULL)
		verify_free(t->verify);
	free(t->verify);
	buf_free(&t->chain);
	explicit_bzero(t, sizeof(*t));
	free(t);
}

/* Without brackets and the final dot, NUL-terminated. */
static int
copy_name(struct str name, char out[NAME_MAX_DNS + 1], struct err *e)
{
	if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
		name = str_sub(name, 1, name.n - 2);
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (str_copy(name, out, NAME_MAX_DNS + 1) < 0)
		return err_set(e, ERR_CONFIG, 0, "a host name of more than %d bytes", NAME_MAX_DNS);
	return 0;
}

struct tls *
tls_open(int fd, struct str name, const struct tls_trust *trust, const struct tls_identity *id,
    mono_t deadline, struct err *e)
{
	struct tls *t = xcalloc(1, sizeof(*t));
	char *host = t->host;
	uint8_t ip[16];

	t->fd = fd;
	if (copy_name(name, t->host, e) < 0)
		goto fail;
	if (host[0] == '\0' && !trust->pinned) {
		err_set(e, ERR_CONFIG, 0, "no name to verify");
		goto fail;
	}
	t->verify = xcalloc(1, sizeof(*t->verify));
	verify_init(t->verify, trust, host);
	set_up(t, id);
	/* RFC 6066 3: no addresses in SNI. */
	if (!br_ssl_client_reset(&t->cc, verify_ip(host, ip) > 0 ? NULL : host, 0)) {
		explain(t, e);
		goto fail;
	}
	if (pump(t, BR_SSL_SENDAPP, deadline, e) < 0)
		goto fail;
	t->open = true;
	t->chain = t->verify->chain_pem;
	t->verify->chain_pem = (struct buf){ 0 };
	/* Renegotiation is off, so the engine will not look at it again. */
	verify_free(t->verify);
	free(t->verify);
	t->verify = NULL;
	return t;
fail:
	err_ctx(e, "TLS with %.*s", STR_ARG(name));
	free_tls(t);
	return NULL;
}

ssize_t
tls_read(struct tls *t, void *p, size_t n, mono_t deadline, struct err *e)
{
	unsigned char *from;
	size_t have;
	int rc;

	assert(n > 0);
	if ((rc = pump(t, BR_SSL_RECVAPP, deadline, e)) <= 0)
		return rc;
	from = br_ssl_engine_recvapp_buf(&t->cc.eng, &have);
	if (n > have)
		n = have;
	memcpy(p, from, n);
	br_ssl_engine_recvapp_ack(&t->cc.eng, n);
	return (ssize_t)n;
}

static ssize_t
write_some(struct tls *t, const unsigned char *p, size_t n, bool until_answer, mono_t deadline, struct err *e)
{
	br_ssl_engine_context *eng = &t->cc.eng;
	size_t done = 0, room;
	unsigned char *to;

	for (;;) {
		unsigned target = BR_SSL_SENDAPP;
		int rc;

		if (until_answer) {
			target |= BR_SSL_RECVAPP;
			/* pump() reads only when it must wait; a cut is its to tell. */
			if (br_ssl_engine_current_state(eng) & BR_SSL_RECVREC)
				(void)recv_records(t, NULL);
		}
		if ((rc = pump(t, target, deadline, e)) < 0)
			return -1;
		if (rc == 0)
			return err_set(e, ERR_NET, 0, "the peer closed the connection");
		if (done == n || (until_answer && tls_pending(t)))
			return (ssize_t)done;
		to = br_ssl_engine_sendapp_buf(eng, &room);
		if (room > n - done)
			room = n - done;
		memcpy(to, p + done, room);
		br_ssl_engine_sendapp_ack(eng, room);
		done += room;
		br_ssl_engine_flush(eng, 0);
	}
}

int
tls_write(struct tls *t, const void *p, size_t n, mono_t deadline, struct err *e)
{
	return write_some(t, p, n, false, deadline, e) < 0 ? -1 : 0;
}

ssize_t
tls_write_until_answer(struct tls *t, const void *p, size_t n, mono_t deadline, struct err *e)
{
	return write_some(t, p, n, true, deadline, e);
}

int
tls_end_writing(struct tls *t, mono_t deadline, struct err *e)
{
	br_ssl_engine_context *eng = &t->cc.eng;
	unsigned char *to;
	size_t room;

	if (write_some(t, NULL, 0, false, deadline, e) < 0)
		return -1;
	/*
	 * The alert as a record of our own: br_ssl_engine_close() would also drop all that comes
	 * from now on.
	 */
	to = br_ssl_engine_sendapp_buf(eng, &room);
	if (to == NULL || room < 2)
		return err_set(e, ERR_NET, 0, "the peer closed the connection");
	to[0] = ALERT_WARNING;
	to[1] = ALERT_CLOSE_NOTIFY;
	eng->record_type_out = RECORD_ALERT;
	br_ssl_engine_sendapp_ack(eng, 2);
	br_ssl_engine_flush(eng, 0);
	eng->record_type_out = RECORD_DATA;
	return write_some(t, NULL, 0, false, deadline, e) < 0 ? -1 : 0;
}

bool
tls_fresh(const struct tls *t)
{
	return t->nahead == 0 && !tls_pending(t);
}

bool
tls_pending(const struct tls *t)
{
	return (br_ssl_engine_current_state(&t->cc.eng) & BR_SSL_RECVAPP) != 0;
}

void
tls_close(struct tls *t)
{
	br_ssl_engine_context *eng;

	if (t == NULL)
		return;
	eng = &t->cc.eng;
	br_ssl_engine_close(eng);
	while ((br_ssl_engine_current_state(eng) & BR_SSL_SENDREC) != 0)
		if (send_records(t, NULL) <= 0)
			break;
	free_tls(t);
}

struct str
tls_chain_pem(const struct tls *t)
{
	return buf_str(&t->chain);
}

int
tls_cert_expiry(struct str cert_pem, int64_t *unix_seconds, struct err *e)
{
	struct buf der = { .max = PEM_MAX };
	struct str left;
	struct x509 c;
	int rc = -1;

	if (ca_pem_certs(cert_pem, &der, e) < 0)
		goto out;
	left = buf_str(&der);
	switch (x509_next(&left, &c, e)) {
	case 0:
		err_set(e, ERR_PARSE, 0, "no certificate in it (-----BEGIN CERTIFICATE-----)");
		break;
	case 1:
		*unix_seconds = c.not_after;
		rc = 0;
	}
out:
	buf_free(&der);
	return rc;
}
