#include "dumpers/dotnet/dac_host.h"

#include "dumpers/dotnet/dac_host_internal.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/signal.h>

static int start(const struct dac_header *question, struct dac *dac, struct buf *ret,
		 hresult *ret_hr, struct err *e)
{
	int r = dac->sos ? 0 : dac_load(question->argument, dac, ret_hr, e);
	const struct dac_wire_start answer = {.string_type = dac->globals.string,
					      .free_type = dac->globals.free,
					      .object_type = dac->globals.object,
					      .reads_failed = dac_target_failures() > 0};
	return r ? r : buf_append(ret, &answer, sizeof(answer), e);
}

static int serve(const struct dac_header *question, struct dac *dac)
{
	_cleanup_buf_ struct buf answer = BUF_INIT(DAC_PAYLOAD_MAX);
	struct err e = {0};
	hresult hr = HR_OK;
	int r;
	if (question->message == DAC_ASK_START)
		r = start(question, dac, &answer, &hr, &e);
	else if (!dac->sos)
		r = err_set(&e, ERR_PROTOCOL, "not started");
	else
		r = dac_answer(dac, question, &answer, &hr, &e);
	if (r)
		return dac_send(DAC_SOCKET_FD, DAC_FAILED, (uint32_t)hr, e.text, strlen(e.text),
				NULL);
	return dac_send(DAC_SOCKET_FD, DAC_ANSWER, 0, answer.data, answer.len, NULL);
}

int dac_host_main(void)
{
	struct dac dac = {0};
	struct dac_header question;
	struct err e = {0};
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0) return 1;
	if (dac_confine(&e)) {
		dac_send(DAC_SOCKET_FD, DAC_FAILED, 0, e.text, strlen(e.text), NULL);
		return 1;
	}
	while (!dac_receive_header(DAC_SOCKET_FD, &question, NULL)) {
		if (question.len || serve(&question, &dac)) return 1;
	}
	return 0;
}
