/* Which path, where it is mounted, and which container it is of. */
#include "dumpers/proc/cgroup.h"

#include "dumpers/proc/scan.h"

#include <string.h>

/* Is item one of a comma-separated list? */
static bool list_has(struct scan list, const char *item)
{
	struct scan part;

	while (scan_until(&list, ',', &part)) {
		if (scan_equals(&part, item)) return true;
	}
	return scan_equals(&list, item);
}

/* "ID:CONTROLLERS:PATH"; the path may hold anything but a newline. */
static bool split_line(struct scan line, struct scan *ret_controllers, struct scan *ret_path)
{
	uint64_t id;

	if (!scan_u64(&line, 10, &id) || !scan_char(&line, ':') ||
	    !scan_until(&line, ':', ret_controllers))
		return false;
	*ret_path = line;
	return scan_left(&line) > 0 && *line.at == '/' && scan_left(&line) < CGROUP_PATH_MAX &&
	       !memchr(line.at, '\0', scan_left(&line));
}

bool cgroup_find_path(const char *text, size_t len, const char *controller,
		      char ret_path[CGROUP_PATH_MAX], int *ret_version)
{
	struct scan s = scan_of(text, len), line, controllers, path;
	bool found = false;

	while (scan_line(&s, &line)) {
		bool v1;

		if (!split_line(line, &controllers, &path)) continue;
		v1 = list_has(controllers, controller);
		if (!v1 && scan_left(&controllers) > 0) continue;
		scan_copy(&path, ret_path, CGROUP_PATH_MAX);
		*ret_version = v1 ? 1 : 2;
		found = true;
		if (v1) break;
	}
	return found;
}

/* mountinfo writes space, tab, newline and backslash as octal (show_mountinfo, seq_path). */
static bool unescape(struct scan in, char *ret, size_t ret_size)
{
	size_t n = 0;

	while (in.at < in.end) {
		struct scan octal = {.at = in.at + 1, .end = in.at + MIN(scan_left(&in), 4u)};
		char c = *in.at;
		uint64_t code;

		if (c == '\0' || n + 1 >= ret_size) return false;
		if (c == '\\' && scan_left(&octal) == 3 && scan_u64(&octal, 8, &code) &&
		    octal.at == octal.end && code > 0 && code < 256) {
			c = (char)code;
			in.at += 3;
		}
		ret[n++] = c;
		in.at++;
	}
	ret[n] = '\0';
	return true;
}

struct mount {
	char root[CGROUP_PATH_MAX], point[CGROUP_PATH_MAX];
	struct scan type, options;
};

/* "36 35 98:0 ROOT POINT rw,noatime shared:1 - TYPE SOURCE OPTIONS" */
static bool parse_mount(struct scan line, struct mount *ret)
{
	struct scan root, point, field;

	for (int i = 0; i < 3; i++) {
		if (!scan_field(&line, &field)) return false;
	}
	if (!scan_field(&line, &root) || !scan_field(&line, &point)) return false;
	do {
		if (!scan_field(&line, &field)) return false;
	} while (!scan_equals(&field, "-"));
	return scan_field(&line, &ret->type) && scan_field(&line, &field) &&
	       scan_field(&line, &ret->options) && unescape(root, ret->root, sizeof(ret->root)) &&
	       unescape(point, ret->point, sizeof(ret->point)) && ret->point[0] == '/';
}

static bool mount_serves(const struct mount *m, int version, const char *controller)
{
	if (version == 2) return scan_equals(&m->type, "cgroup2");
	return scan_equals(&m->type, "cgroup") && list_has(m->options, controller);
}

/* A ".." would lead out of the mount: the path is then above what the mount shows. */
static bool has_dotdot(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/.."));) {
		p += 3;
		if (*p == '/' || *p == '\0') return true;
	}
	return false;
}

/* Bytes of path that the mount's root stands for; false when path is not below it. */
static bool below_root(const char *path, const char *root, size_t *ret_skip)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, root, len) != 0 || (path[len] != '/' && path[len] != '\0')) return false;
	if (has_dotdot(path + len)) return false;
	*ret_skip = len;
	return true;
}

bool cgroup_find_mount(const char *mountinfo, size_t len, int version, const char *controller,
		       const char *path, char ret_mount[CGROUP_PATH_MAX], size_t *ret_skip)
{
	struct scan s = scan_of(mountinfo, len), line;
	bool found = false;
	struct mount m;
	size_t skip;

	while (scan_line(&s, &line)) {
		if (!parse_mount(line, &m) || !mount_serves(&m, version, controller)) continue;
		if (!below_root(path, m.root, &skip)) continue;
		/* The shortest root shows the most levels above the group. */
		if (found && skip >= *ret_skip) continue;
		memcpy(ret_mount, m.point, strlen(m.point) + 1);
		*ret_skip = skip;
		found = true;
	}
	return found;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool cgroup_container_id(const char *path, char ret[CGROUP_CONTAINER_ID_SIZE])
{
	size_t run = 0;

	ret[0] = '\0';
	/* Containers in containers: the last id of the path is the innermost. */
	for (const char *p = path;; p++) {
		if (is_hex(*p)) {
			run++;
			continue;
		}
		if (run == CGROUP_CONTAINER_ID_SIZE - 1) {
			memcpy(ret, p - run, run);
			ret[run] = '\0';
		}
		run = 0;
		if (!*p) break;
	}
	return ret[0] != '\0';
}

/* Could the byte belong to an id? */
static bool is_of_id(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool cgroup_names_container(const char *text, size_t len, const char *id)
{
	size_t id_len = strlen(id);
	const char *end = text + len, *at = text;

	if (!id_len || !len) return false;
	while ((at = memmem(at, (size_t)(end - at), id, id_len))) {
		bool begins = at == text || !is_of_id(at[-1]);
		const char *behind = at + id_len;

		if (begins && (behind == end || !is_of_id(*behind))) return true;
		at++;
	}
	return false;
}
