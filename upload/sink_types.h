/* The sinks of upload/, for the table in sink.c. Nobody else includes it. */
#ifndef UPLOAD_SINK_TYPES_H
#define UPLOAD_SINK_TYPES_H

#include "upload/sink.h"

extern const struct sink_type sink_stdout, sink_s3, sink_file;

#endif
