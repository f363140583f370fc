/* Structs of the base library whose fields mean nothing to a reader: they are shown as their
 * ToString() would, times as ISO 8601. The layouts are those of System.Private.CoreLib, the same
 * from .NET Core 3.1 to .NET 9. */
#include "dumpers/dotnet/object_internal.h"

#include <stdio.h>
#include <string.h>

#define TICKS_PER_S INT64_C(10000000)
#define TICKS_PER_DAY (24 * 60 * 60 * TICKS_PER_S)
#define DAYS_MAX 3652059   /* 31 December 9999 is day 3652058 */
#define TIME_KIND_SHIFT 62 /* of DateTime's bits, above its ticks */
#define OFFSET_MINUTES_MAX (14 * 60)
enum { TIME_TEXT_MAX = 48, DECIMAL_SCALE_MAX = 28, DECIMAL_DIGITS_MAX = 32 };

static const char no_value[] = "its bytes are no value of it";

static int refuse(struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "%s", no_value);
}

/* --- times --- */

/* Proleptic Gregorian, day 0 is 1 January of year 1. */
static void put_date(int64_t days, char *ret, size_t size)
{
	/* Years that begin in March end with their leap day. */
	int64_t n = days + 306, era = n / 146097, of_era = n % 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t day = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * day + 2) / 153;

	day -= (153 * month + 2) / 5;
	month = month < 10 ? month + 3 : month - 9;
	year += era * 400 + (month <= 2);
	snprintf(ret, size, "%04d-%02d-%02d", (int)year, (int)month, (int)day + 1);
}

/* Of a day; a fraction only where there is one, without zeros at its end. */
static void put_time(int64_t ticks, char *ret, size_t size)
{
	int64_t seconds = ticks / TICKS_PER_S, fraction = ticks % TICKS_PER_S;
	int digits = 7;
	int len = snprintf(ret, size, "%02d:%02d:%02d", (int)(seconds / 3600),
			   (int)(seconds / 60 % 60), (int)(seconds % 60));

	if (!fraction) return;
	for (; fraction % 10 == 0; fraction /= 10)
		digits--;
	snprintf(ret + len, size - (size_t)len, ".%0*d", digits, (int)fraction);
}

static int put_instant(int64_t ticks, char *ret, size_t size, struct err *e)
{
	char date[TIME_TEXT_MAX], time[TIME_TEXT_MAX];

	if (ticks < 0 || ticks / TICKS_PER_DAY >= DAYS_MAX) return refuse(e);
	put_date(ticks / TICKS_PER_DAY, date, sizeof(date));
	put_time(ticks % TICKS_PER_DAY, time, sizeof(time));
	snprintf(ret, size, "%.16sT%.24s", date, time);
	return 0;
}

static int64_t ticks_of(uint64_t bits)
{
	return (int64_t)(bits & ((UINT64_C(1) << TIME_KIND_SHIFT) - 1));
}

/* The upper two bits: unspecified, UTC, local; and local with an ambiguous hour. */
static int show_date_time(struct dotnet *d, struct dotnet_type *type, uint64_t address,
			  struct node *n, struct err *e)
{
	static const char *const suffixes[] = {"", "Z", " (local time)", " (local time)"};
	char text[TIME_TEXT_MAX];
	uint64_t bits;
	int r = dotnet_read(d, address, &bits, sizeof(bits), e);

	(void)type;
	if (!r) r = put_instant(ticks_of(bits), text, sizeof(text), e);
	if (r) return r;
	return node_set_printf(n, NODE_TEXT, e, "%s%s", text, suffixes[bits >> TIME_KIND_SHIFT]);
}

/* In memory it is UTC and the offset; what is shown is the local time with its offset. */
static int show_date_time_offset(struct dotnet *d, struct dotnet_type *type, uint64_t address,
				 struct node *n, struct err *e)
{
	const struct dotnet_field *time, *offset;
	char text[TIME_TEXT_MAX];
	int64_t minutes;
	uint64_t bits;
	int r = dotnet_find_field(d, type, "_dateTime", &time, e);

	if (!r) r = dotnet_find_field(d, type, "_offsetMinutes", &offset, e);
	if (!r && !kind_is_number(offset->is.kind)) r = refuse(e);
	if (!r) r = dotnet_read(d, address + time->is.offset, &bits, sizeof(bits), e);
	if (!r) r = read_number(d, offset->is.kind, address + offset->is.offset, &minutes, e);
	if (!r && (minutes > OFFSET_MINUTES_MAX || minutes < -OFFSET_MINUTES_MAX)) r = refuse(e);
	if (!r) r = put_instant(ticks_of(bits) + minutes * 60 * TICKS_PER_S, text, sizeof(text), e);
	if (r) return r;
	return node_set_printf(n, NODE_TEXT, e, "%s%c%02d:%02d", text, minutes < 0 ? '-' : '+',
			       (int)(minutes < 0 ? -minutes : minutes) / 60,
			       (int)(minutes < 0 ? -minutes : minutes) % 60);
}

/* [-][days.]hh:mm:ss[.fraction] */
static int show_time_span(struct dotnet *d, struct dotnet_type *type, uint64_t address,
			  struct node *n, struct err *e)
{
	char days[TIME_TEXT_MAX] = "", time[TIME_TEXT_MAX];
	int64_t ticks, count;
	int r = read_number(d, KIND_I8, address, &ticks, e);

	(void)type;
	if (r) return r;
	/* The smallest number has no positive one: by parts it does. */
	count = ticks / TICKS_PER_DAY;
	if (count) snprintf(days, sizeof(days), "%lld.", (long long)(count < 0 ? -count : count));
	ticks %= TICKS_PER_DAY;
	put_time(ticks < 0 ? -ticks : ticks, time, sizeof(time));
	return node_set_printf(n, NODE_TEXT, e, "%s%s%s", count < 0 || ticks < 0 ? "-" : "", days,
			       time);
}

static int show_date_only(struct dotnet *d, struct dotnet_type *type, uint64_t address,
			  struct node *n, struct err *e)
{
	char date[TIME_TEXT_MAX];
	int64_t days;
	int r = read_number(d, KIND_I4, address, &days, e);

	(void)type;
	if (!r && (days < 0 || days >= DAYS_MAX)) r = refuse(e);
	if (r) return r;
	put_date(days, date, sizeof(date));
	return node_set_printf(n, NODE_TEXT, e, "%s", date);
}

static int show_time_only(struct dotnet *d, struct dotnet_type *type, uint64_t address,
			  struct node *n, struct err *e)
{
	char time[TIME_TEXT_MAX];
	int64_t ticks;
	int r = read_number(d, KIND_I8, address, &ticks, e);

	(void)type;
	if (!r && (ticks < 0 || ticks >= TICKS_PER_DAY)) r = refuse(e);
	if (r) return r;
	put_time(ticks, time, sizeof(time));
	return node_set_printf(n, NODE_TEXT, e, "%s", time);
}

/* --- others --- */

/* Divides the number of three words, the lowest first. */
static unsigned divide_by_ten(uint32_t words[3])
{
	uint64_t rest = 0;

	for (int i = 2; i >= 0; i--) {
		rest = rest << 32 | words[i];
		words[i] = (uint32_t)(rest / 10);
		rest %= 10;
	}
	return (unsigned)rest;
}

/* Flags (sign, scale), then the upper word and the lower two. */
static int show_decimal(struct dotnet *d, struct dotnet_type *type, uint64_t address,
			struct node *n, struct err *e)
{
	char text[DECIMAL_DIGITS_MAX + 4], *at = text + sizeof(text);
	uint32_t raw[4];
	int r = dotnet_read(d, address, raw, sizeof(raw), e);

	(void)type;
	if (r) return r;
	uint32_t words[] = {raw[2], raw[3], raw[1]}, scale = raw[0] >> 16 & 0xff;
	if (raw[0] & 0x7f00ffff || scale > DECIMAL_SCALE_MAX) return refuse(e);
	*--at = '\0';
	for (uint32_t i = 0; i <= scale || words[0] | words[1] | words[2]; i++) {
		if (i && i == scale) *--at = '.';
		*--at = (char)('0' + divide_by_ten(words));
	}
	return node_set_printf(n, NODE_TEXT, e, "%s%s", raw[0] >> 31 ? "-" : "", at);
}

static int show_guid(struct dotnet *d, struct dotnet_type *type, uint64_t address, struct node *n,
		     struct err *e)
{
	struct {
		uint32_t a;
		uint16_t b, c;
		uint8_t rest[8];
	} g;
	int r = dotnet_read(d, address, &g, sizeof(g), e);

	(void)type;
	if (r) return r;
	return node_set_printf(n, NODE_TEXT, e, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			       g.a, g.b, g.c, g.rest[0], g.rest[1], g.rest[2], g.rest[3], g.rest[4],
			       g.rest[5], g.rest[6], g.rest[7]);
}

int show_known_struct(struct dotnet *d, struct dotnet_type *type, uint64_t address, struct node *n,
		      struct err *e)
{
	static const struct {
		const char *name;
		int (*show)(struct dotnet *d, struct dotnet_type *type, uint64_t address,
			    struct node *n, struct err *e);
	} known[] = {
	    {"System.Decimal", show_decimal},    {"System.Guid", show_guid},
	    {"System.DateTime", show_date_time}, {"System.DateTimeOffset", show_date_time_offset},
	    {"System.TimeSpan", show_time_span}, {"System.DateOnly", show_date_only},
	    {"System.TimeOnly", show_time_only},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(type->name, known[i].name) == 0)
			return known[i].show(d, type, address, n, e);
	return -ERR_NOT_FOUND;
}
