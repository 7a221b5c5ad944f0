/* IP addresses and blocks as text. */
#include "core/core.h"
#include "core/hash.h"
#include "wire/ip.h"

#include "tap.h"

static const struct { const char *text, *hex; } good[] = {
	{ "0.0.0.0", "00000000000000000000ffff00000000" },
	{ "192.0.2.255", "00000000000000000000ffffc00002ff" },
	{ "::", "00000000000000000000000000000000" },
	{ "::1", "00000000000000000000000000000001" },
	{ "1::", "00010000000000000000000000000000" },
	{ "2001:DB8:0:1:2:3:4:abcd", "20010db800000001000200030004abcd" },
	{ "1:2:3:4:5:6:7::", "00010002000300040005000600070000" },
	{ "::2:3:4:5:6:7:8", "00000002000300040005000600070008" },
	{ "fe80::1:2", "fe800000000000000000000000010002" },
	{ "::ffff:192.0.2.1", "00000000000000000000ffffc0000201" },
	{ "::192.0.2.1", "000000000000000000000000c0000201" },
	{ "64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221" },
	{ "1:2:3:4:5:6:192.0.2.1", "000100020003000400050006c0000201" },
};

static const char *const bad[] = {
	"", ".", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.1.1.1", "1.1.1.1000", "01.2.3.4", "1.2.3.04", "00.0.0.0",
	"1.2.3.4 ", " 1.2.3.4", "1.2.3.a", "0x1.2.3.4", "-1.2.3.4", "+1.2.3.4", "1.2.3.4/8",
	":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1::2::3", ":1::2", "1::2:", "1:",
	":1:2:3:4:5:6:7:8", "12345::", "g::", "::1%eth0", "[::1]", "::1/64", "1.2.3.4::", "::1.2.3", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4",
	"::01.2.3.4", "1:2:3:4:5:6:7:8:1.2.3.4", "::-1", "::+1",
};

static const struct { const char *ip, *block; bool want; } blocks[] = {
	{ "10.1.2.3", "10.0.0.0/8", true }, { "11.1.2.3", "10.0.0.0/8", false }, { "10.1.2.3", "10.1.2.3/32", true },
	{ "10.1.2.4", "10.1.2.3/32", false }, { "10.1.2.3", "0.0.0.0/0", true }, { "10.1.2.3", "10.1.2.0/30", true },
	{ "10.1.2.4", "10.1.2.0/30", false }, { "10.1.2.3", "10.9.9.9/8", true },	/* bits behind the mask do not count */
	{ "10.1.2.3", "10.0.0.0/33", false }, { "10.1.2.3", "10.0.0.0/", false }, { "10.1.2.3", "10.0.0.0", false },
	{ "10.1.2.3", "/8", false }, { "10.1.2.3", "10.0.0.0/-0", false }, { "10.1.2.3", "10.0.0.0/+8", false },
	{ "10.1.2.3", "10.0.0.0/8x", false }, { "10.1.2.3", "10.0.0/8", false }, { "10.1.2.3", "10.0.0.0/0008", false },
	{ "10.1.2.3", "10.0.0.0/8/8", false },
	{ "fd12::1", "fd00::/8", true }, { "fe12::1", "fd00::/8", false }, { "fd12::1", "::/0", true }, { "10.1.2.3", "::/0", false },
	{ "fd12::1", "0.0.0.0/0", false }, { "fd12::1", "fd12::1/128", true }, { "fd12::1", "fd12::1/129", false },
	{ "::1", "::/127", true }, { "::2", "::/127", false }, { "::ffff:10.1.2.3", "10.0.0.0/8", true },
	{ "10.1.2.3", "::ffff:10.0.0.0/104", true }, { "10.1.2.3", "", false },
};

int
main(void)
{
	struct ip ip, other;
	char hex[33];

	for (size_t i = 0; i < NELEM(good); i++) {
		if (ok(ip_parse(str_from(good[i].text), &ip) == 0, "an address: %s", good[i].text)) {
			hash_hex(ip.b, sizeof(ip.b), hex);
			is_str(hex, good[i].hex, "  its bytes");
		}
	}
	for (size_t i = 0; i < NELEM(bad); i++)
		ok(ip_parse(str_from(bad[i]), &ip) == -1, "no address: '%s'", bad[i]);
	ok(ip_parse((struct str){ "1.2.3.4", 5 }, &ip) == -1 && ip_parse((struct str){ "1.2.3.45", 7 }, &ip) == 0 && ip.b[15] == 4,
	    "a view ends where it ends");
	ok(ip_parse(STR("::1\0"), &ip) == -1 && ip_parse(STR("1.2.3\0.4"), &ip) == -1, "NUL is no end");

	ip_parse(STR("127.8.9.1"), &ip);
	ok(ip_is_loopback(&ip) && ip_is_v4(&ip), "127.8.9.1 is loopback");
	ip_parse(STR("::ffff:127.0.0.1"), &other);
	ok(ip_is_loopback(&other), "so is ::ffff:127.0.0.1");
	ip_parse(STR("::1"), &ip);
	ok(ip_is_loopback(&ip) && !ip_is_v4(&ip), "and ::1");
	ip_parse(STR("128.0.0.1"), &ip);
	ok(!ip_is_loopback(&ip), "128.0.0.1 is not");
	ip_parse(STR("::2"), &ip);
	ok(!ip_is_loopback(&ip), "nor ::2");

	for (size_t i = 0; i < NELEM(blocks); i++) {
		ip_parse(str_from(blocks[i].ip), &ip);
		ok(ip_in_block(&ip, str_from(blocks[i].block)) == blocks[i].want, "%s is %sin %s", blocks[i].ip,
		    blocks[i].want ? "" : "not ", blocks[i].block);
	}
	return done_testing();
}
