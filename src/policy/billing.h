/*
 * What a cloud charges for a machine's life, by a rule. The rules of the clouds and their prices are
 * rows of catalog/.
 */
#ifndef POLICY_BILLING_H
#define POLICY_BILLING_H

#include "core/core.h"
#include "core/mono.h"
#include "core/str.h"

struct billing {
	dur_t		 unit;		/* a started unit is charged whole. 0: exact */
	dur_t		 minimum;	/* charged at least */
	double		 minimum_money;	/* the same in money: 0.01; 0 = none */
	dur_t		 month_cap;	/* most that is charged of a month (of 730 hours); 0 = no cap */
	const char	*currency;
};

/* The unit that is worth waiting for before a machine goes: hours; 0 when it is charged finer. */
dur_t				 billing_keeps(const struct billing *b);
/* What is charged for a life of so long, as time at the hourly price. */
dur_t				 billing_paid(const struct billing *b, dur_t life, double price_per_hour);

#endif
