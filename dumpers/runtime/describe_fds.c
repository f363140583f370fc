#include "base/json.h"
#include "dumpers/proc/fds.h"
#include "dumpers/runtime/describe.h"

#include <fcntl.h>

static const char *access_mode(uint64_t flags)
{
	if (flags & O_PATH) return "path";
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return "read";
	case O_WRONLY:
		return "write";
	default:
		return "read_write";
	}
}

static void put_socket(const struct socket_info *s, struct json *j)
{
	json_key(j, "socket");
	json_object(j);
	json_kv_string(j, "protocol", s->proto);
	json_kv_string(j, "state", s->state[0] ? s->state : NULL);
	json_kv_string(j, "local", s->local[0] ? s->local : NULL);
	json_kv_string(j, "peer", s->peer[0] ? s->peer : NULL);
	json_object_end(j);
}

static void put_fd(const struct fd_info *f, struct json *j)
{
	json_object(j);
	json_kv_int(j, "fd", f->fd);
	json_kv_string(j, "target", f->target[0] ? f->target : NULL);
	if (f->has_fdinfo) {
		json_kv_string(j, "mode", access_mode(f->flags));
		json_kv_hex(j, "flags", f->flags);
		json_kv_hex(j, "pos", f->pos);
	}
	if (f->socket.proto[0]) put_socket(&f->socket, j);
	json_object_end(j);
}

int process_fds_json(const struct process *p, struct buf *ret, struct err *e)
{
	_cleanup_fd_list_ struct fd_list list = {0};
	struct json j;
	int r = process_fds(p, &list, e);

	if (r < 0) return r;
	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.fds/1");
	json_kv_bool(&j, "truncated", list.cut);
	json_key(&j, "fds");
	json_array(&j);
	for (size_t i = 0; i < list.count; i++)
		put_fd(&list.v[i], &j);
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j, e);
}
