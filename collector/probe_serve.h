/* The probe's two threads: one speaks the wire and never blocks, one does the looking. */
#ifndef COLLECTOR_PROBE_SERVE_H
#define COLLECTOR_PROBE_SERVE_H

/* Serves one request on stdin and stdout; returns the exit status. */
int probe_serve(void);

#endif
