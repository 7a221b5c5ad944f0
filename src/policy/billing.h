/*
 * What a cloud charges for a machine: the rule of each driver (spec
 * cloud-drivers 12), and list prices of the sizes that runners use. Tables only.
 *
 * Prices are what the vendor's public list said at BILLING_DATE, for one region, without disks, addresses, taxes and
 * discounts: good for comparing settings with each other, not for a bill. A size that is not in the table has no price;
 * nothing is guessed.
 */
#ifndef POLICY_BILLING_H
#define POLICY_BILLING_H

#include "core/core.h"
#include "core/mono.h"
#include "core/str.h"

#define BILLING_DATE	"2025-06"

struct billing {
	const char	*driver;
	dur_t		 unit;		/* a started unit is charged whole. 0: exact */
	dur_t		 minimum;	/* charged at least */
	double		 minimum_money;	/* the same in money: 0.01; 0 = none */
	dur_t		 month_cap;	/* most that is charged of a month (of 730 hours); 0 = no cap */
	const char	*currency;
	const char	*size_option;	/* the driver option that names the size; NULL: none that we know */
	const char	*default_size;	/* what the driver takes when it is not given */
};

struct billing_price {
	const char	*driver, *size;
	double		 per_hour;
	const char	*region;	/* whose price it is; NULL: the same everywhere */
};

/* NULL when the driver's rule is not known. */
const struct billing		*billing_of(const char *driver);
const struct billing_price	*billing_price_of(const char *driver, struct str size);
/* The unit that is worth waiting for before a machine goes: hours; 0 when it is charged finer. */
dur_t				 billing_keeps(const struct billing *b);
/* What is charged for a life of so long, as time at the hourly price. */
dur_t				 billing_paid(const struct billing *b, dur_t life, double price_per_hour);

#endif
