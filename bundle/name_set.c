#include "bundle/name_set.h"

#include <search.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

int name_set_add(struct name_set *set, const char *name, struct err *e)
{
	_cleanup_free_ char *copy = NULL;
	char **found;

	if (set->count >= BUNDLE_ENTRIES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d entries in a bundle",
			       BUNDLE_ENTRIES_MAX);
	copy = strdup(name);
	found = copy ? tsearch(copy, &set->tree, compare) : NULL;
	if (!found) return err_set(e, ERR_NO_MEMORY, "no memory for entry %s", name);
	if (*found != copy)
		return err_set(e, ERR_EXISTS, "the bundle has an entry %s already", name);
	copy = NULL; /* the tree's now */
	set->count++;
	return 0;
}

void name_set_done(struct name_set *set)
{
	if (!set) return;
	tdestroy(set->tree, free);
	*set = (struct name_set){0};
}
