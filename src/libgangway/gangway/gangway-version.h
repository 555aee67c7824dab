/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(GANGWAY_INSIDE) && !defined(GANGWAY_COMPILATION)
#error "Only <gangway.h> can be included directly."
#endif

#include <glib.h>

/* Every public function carries this; all else stays hidden in the shared library. */
#ifdef GANGWAY_COMPILATION
#define GANGWAY_API __attribute__ ((visibility ("default"))) extern
#else
#define GANGWAY_API extern
#endif
