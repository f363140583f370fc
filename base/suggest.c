#include "base/suggest.h"

#include <string.h>

enum { WORD_MAX = 63, DISTANCE_MAX = 2, PREFIX_MIN = 3 };

void suggest_init(struct suggestion *s, const char *word, size_t len)
{
	*s = (struct suggestion){.word = word, .word_len = len};
}

/* Optimal string alignment: three rows of the table are enough. Lengths are at most WORD_MAX. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *recycled = before;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			best = MIN(best, last[j] + 1);
			best = MIN(best, row[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, before[j - 2] + 1);
			row[j] = best;
		}
		before = last;
		last = row;
		row = recycled;
	}
	return last[b_len];
}

void suggest_consider(struct suggestion *s, const char *candidate)
{
	size_t len = strlen(candidate), distance;

	if (s->word_len > WORD_MAX || len > WORD_MAX) return;
	distance = edit_distance(s->word, s->word_len, candidate, len);
	if (distance > DISTANCE_MAX || 2 * distance > MAX(len, s->word_len)) {
		if (s->word_len < PREFIX_MIN || strncmp(candidate, s->word, s->word_len) != 0)
			return;
		/* An abbreviation: behind every true near miss. */
		distance = DISTANCE_MAX + 1;
	}
	if (s->best && s->best_distance <= distance) return;
	s->best = candidate;
	s->best_distance = distance;
}
