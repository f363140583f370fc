/* "Did you mean": the known word nearest to a misspelt one. */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

#include "base/util.h"

struct suggestion {
	const char *word;     /* borrowed; what was typed */
	size_t word_len;      /* bytes of it */
	const char *best;     /* borrowed from the candidates; NULL: none is near */
	size_t best_distance; /* meaningful with best */
};

/* Starts for the first len bytes of word. */
void suggest_init(struct suggestion *s, const char *word, size_t len);
/*
 * Weighs one candidate: near is at most two edits (insert, delete, replace, swap neighbours) and no
 * more than half of the longer word, or a candidate that begins with the word (3 bytes or more).
 * The nearest wins, the first among equals. Words over 63 bytes are never near.
 */
void suggest_consider(struct suggestion *s, const char *candidate);

#endif
