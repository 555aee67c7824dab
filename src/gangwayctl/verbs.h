/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All verbs, in the order in which the help names them. Each stands in verb-NAME.c. */

#include "gw-ctl.h"

extern const GwCtlVerb verb_status, verb_bus, verb_list, verb_show, verb_explain, verb_monitor;
extern const GwCtlVerb verb_inventory_show, verb_inventory_import, verb_inventory_lookup;
extern const GwCtlVerb verb_batch_list, verb_batch_add, verb_batch_remove;
extern const GwCtlVerb verb_policies;
extern const GwCtlVerb verb_onboard, verb_approve, verb_quarantine, verb_renew, verb_rekey, verb_revoke,
    verb_decommission, verb_rename;
extern const GwCtlVerb verb_read, verb_write, verb_identify;
extern const GwCtlVerb verb_jobs, verb_cancel, verb_scan, verb_reload, verb_audit;
