"""Whether tests that try many moments shall try very many: PODSNAP_LONG=1, as `make soak` sets."""

import os

LONG = os.environ.get("PODSNAP_LONG") == "1"
