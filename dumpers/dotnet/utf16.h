/* UTF-16 as .NET keeps text. */
#ifndef DUMPERS_DOTNET_UTF16_H
#define DUMPERS_DOTNET_UTF16_H

#include "base/buf.h"

/* Appends `len` units as UTF-8; a surrogate without its other half becomes U+FFFD. */
int utf16_append(const uint16_t *text, size_t len, struct buf *ret, struct err *e);

#endif
