/* What a cloud charges for a machine's life. See billing.h. */
#include "core/mono.h"
#include "policy/billing.h"

#define HOUR	(3600 * NSEC_SEC)
#define MONTH	(730 * HOUR)

dur_t
billing_keeps(const struct billing *b)
{
	return b != NULL && b->unit >= HOUR ? b->unit : 0;
}

dur_t
billing_paid(const struct billing *b, dur_t life, double price_per_hour)
{
	dur_t paid = life > 0 ? life : 0, least = b->minimum;

	if (b->unit > 0 && paid % b->unit != 0)
		paid += b->unit - paid % b->unit;
	if (b->minimum_money > 0 && price_per_hour > 0 && b->minimum_money / price_per_hour * (double)HOUR > (double)least)
		least = (dur_t)(b->minimum_money / price_per_hour * (double)HOUR);
	if (paid < least)
		paid = least;
	if (b->month_cap > 0) {
		dur_t rest = paid % MONTH;

		paid = paid / MONTH * b->month_cap + (rest < b->month_cap ? rest : b->month_cap);
	}
	return paid;
}
