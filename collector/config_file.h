/*
 * The configuration file: YAML mappings, whose nested keys joined by dots are the keys of the
 * options table ("capture: {max-pause: 5s}" is capture.max-pause). An unknown key is an error.
 */
#ifndef COLLECTOR_CONFIG_FILE_H
#define COLLECTOR_CONFIG_FILE_H

#include "base/options.h"

/* path NULL: ~/.config/podsnap/config.yaml, which may be missing. */
int config_file_load(struct options *options, const char *path, struct err *e);

#endif
