/* The little XML that S3 speaks: one element's text in an answer, escaped text in a request. */
#ifndef UPLOAD_S3_XML_H
#define UPLOAD_S3_XML_H

#include "base/buf.h"

/*
 * The text of the first <element> in xml, entities decoded, into ret (size bytes, always NUL
 * terminated, "" if there is none; cut at size - 1). Control characters become '?': it goes into
 * messages. False: no such element, or it did not fit. S3's answers have no CDATA and no nesting of
 * an element in itself (Amazon S3 API Reference, "Error responses").
 */
bool s3_xml_text(const char *xml, size_t len, const char *element, char *ret, size_t size);
/* Appends text with & < > " as entities. */
int s3_xml_escape(const char *text, struct buf *ret, struct err *e);

#endif
