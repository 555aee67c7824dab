/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-points.h. Everything the endpoint answers is bounded by the codec (points, records, lengths); what a caller wants written is
 * checked against the description before it goes out, and the endpoint checks again.
 */

#include "config.h"

#include "gw-points.h"

#include <string.h>

#include <gnutls/crypto.h>

#include "gw-error.h"

typedef struct Description Description;

struct _GwPoints
{
  GwEndpoint *endpoint;
  void (*described) (gpointer data);
  gpointer data;
  GPtrArray *points;      /* GwPoint */
  Description *describing; /* NULL: not now */
  GwTimer again;           /* after a description that failed */
  gint64 again_usec;
  GList *writes; /* Write that have no outcome */
  GList *reads;  /* Read under way */
};

typedef struct
{
  GwPoints *points; /* NULL: cancelled */
  guint8 request[GW_DATA_REQUEST_LEN];
  GwPointsWritten done;
  gpointer data;
  GwTimer timer; /* until it is given up, once its session is gone */
  gboolean lost; /* its session ended before the answer */
  guint holds;   /* requests that will still call back */
} Write;

typedef struct
{
  GwPoints *points; /* NULL: cancelled */
  guint32 ids[GW_POINTS_READ_MAX];
  gsize n, got;
  gsize window; /* first id of the request under way */
  GVariantBuilder values;
  GwPointsRead done;
  gpointer data;
} Read;

/* One request of it is always under way, and its answer frees it. */
struct Description
{
  GwPoints *points; /* NULL: of no more interest */
  GwSession *session;
  GPtrArray *arrived; /* GwPoint */
};

static void
point_free (GwPoint *point)
{
  g_free (point->name);
  g_free (point->unit);
  g_free (point);
}

/* ---- describing ---- */

static void ask_description (Description *description);

static void
take_point (GPtrArray *arrived, const GwDataPoint *point)
{
  GwPoint *copy = g_new0 (GwPoint, 1);

  copy->id = point->id;
  copy->name = g_strndup (point->name.ptr, point->name.len);
  copy->unit = point->has_unit ? g_strndup (point->unit.ptr, point->unit.len) : g_strdup ("");
  copy->type = point->type;
  copy->access = point->access;
  copy->has_low = point->has_low;
  copy->low = point->low;
  copy->has_high = point->has_high;
  copy->high = point->high;
  copy->has_step = point->has_step;
  copy->step = point->step;
  copy->unsafe = point->has_unsafe && point->unsafe;
  g_ptr_array_add (arrived, copy);
}

static void
description_free (Description *description)
{
  if (description->points != NULL)
    description->points->describing = NULL;
  gw_session_unref (description->session);
  g_ptr_array_unref (description->arrived);
  g_free (description);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Description, description_free)

static void
forget_description (GwPoints *self)
{
  gw_timer_disarm (&self->again);
  if (self->describing != NULL)
    self->describing->points = NULL;
  self->describing = NULL;
}

static void
describe_later (GwPoints *self, const char *why)
{
  /* Told once: what never describes them would fill the log. */
  if (self->again_usec == 0)
    g_message ("endpoint %.16s does not describe its points: %s", gw_endpoint_get_id (self->endpoint), why);
  self->again_usec = CLAMP (self->again_usec * 2, GW_ENDPOINT_RETRY_MIN_USEC, GW_ENDPOINT_RETRY_MAX_USEC);
  gw_timer_arm (&self->again, self->again_usec);
}

static void
on_description (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  g_autoptr (Description) description = data;
  GPtrArray *arrived = description->arrived;
  GwPoints *self = description->points;
  GwDataDescribeRsp answer;
  GwDataPoint point;
  guint before = arrived->len;

  if (self == NULL)
    return;
  if (error != NULL || gw_data_describe_rsp_decode (body, &answer) != GW_OK)
    {
      /* The next session asks anyway. */
      if (gw_endpoint_get_session (self->endpoint) == description->session)
        describe_later (self, error != NULL ? error->message : "damaged");
      return;
    }
  while (gw_data_points_next (&answer.points, &point) && arrived->len < GW_DATA_POINTS_MAX)
    take_point (arrived, &point);
  if (arrived->len < answer.count && arrived->len > before)
    {
      ask_description (g_steal_pointer (&description));
      return;
    }
  self->again_usec = 0;
  g_ptr_array_unref (self->points);
  self->points = g_ptr_array_ref (arrived);
  self->described (self->data);
}

/* Takes it over. */
static void
ask_description (Description *description)
{
  GwDataDescribeReq request = { description->arrived->len };
  guint8 buffer[32];
  GwCborWriter body;

  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_data_describe_req_encode (&request, &body);
  gw_session_request (description->session, GW_SMP_OP_READ, GW_SESSION_GROUP_DATA, GW_DATA_DESCRIBE, &body,
                      GW_SMP_PATIENCE_NORMAL, on_description, description);
}

GPtrArray *
gw_points_list (GwPoints *self)
{
  return self->points;
}

const GwPoint *
gw_points_lookup (GwPoints *self, guint32 id)
{
  for (guint i = 0; i < self->points->len; i++)
    {
      GwPoint *point = g_ptr_array_index (self->points, i);

      if (point->id == id)
        return point;
    }
  return NULL;
}

const GwPoint *
gw_points_lookup_name (GwPoints *self, const char *name)
{
  for (guint i = 0; i < self->points->len; i++)
    {
      GwPoint *point = g_ptr_array_index (self->points, i);

      if (strcmp (point->name, name) == 0)
        return point;
    }
  return NULL;
}

/* ---- reading ---- */

static void ask_values (Read *read);

static void
end_read (Read *read, const GError *error)
{
  g_autoptr (GVariant) values = g_variant_ref_sink (g_variant_builder_end (&read->values));

  if (read->points != NULL)
    read->points->reads = g_list_remove (read->points->reads, read);
  read->done (error == NULL ? values : NULL, error, read->data);
  g_free (read);
}

static gint64
absolute_time (GwPoints *self, const GwDataRecord *record)
{
  double seconds = (record->has_base_time ? record->base_time : 0) + (record->has_time ? record->time : 0);

  if (seconds >= GW_DATA_TIME_ABSOLUTE_S)
    return (gint64) (seconds * G_USEC_PER_SEC);
  return gw_loop_realtime (gw_endpoint_get_services (self->endpoint)->loop) + (gint64) (MIN (seconds, 0) * G_USEC_PER_SEC);
}

/* Whether it is a value of that point: one for each that was asked, in that order. */
static gboolean
is_value_of (const GwPoint *point, const GwDataRecord *record)
{
  gsize base = record->base_name.len;
  gboolean number = record->value.type == GW_VALUE_INT || record->value.type == GW_VALUE_FLOAT;

  return point != NULL && strlen (point->name) == base + record->name.len
         && (base == 0 || memcmp (point->name, record->base_name.ptr, base) == 0)
         && (record->name.len == 0 || memcmp (point->name + base, record->name.ptr, record->name.len) == 0)
         && (record->value.type == point->type || (point->type == GW_VALUE_FLOAT && number));
}

static void
on_values (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  Read *read = data;
  g_autoptr (GError) bad = NULL;
  GwDataReadRsp answer;
  GwDataRecord record;
  gsize before = read->got;

  if (read->points == NULL)
    {
      g_variant_builder_clear (&read->values);
      g_free (read);
      return;
    }
  if (error == NULL && gw_data_read_rsp_decode (body, &answer) != GW_OK)
    error = bad = g_error_new_literal (GW_ERROR, GW_ERROR_INVALID, "the endpoint's values are damaged");
  if (error != NULL)
    {
      end_read (read, error);
      return;
    }
  while (gw_data_records_next (&answer.records, &record) && read->got < read->n)
    {
      const GwPoint *point = gw_points_lookup (read->points, read->ids[read->got]);
      GVariant *value;

      if (!is_value_of (point, &record))
        {
          bad = g_error_new (GW_ERROR, GW_ERROR_INVALID, "the endpoint's values are damaged: the one for point %u is not its value",
                             read->ids[read->got]);
          end_read (read, bad);
          return;
        }
      value = gw_points_value_to_variant (&record.value);
      g_variant_builder_add (&read->values, "(utv)", read->ids[read->got++], (guint64) absolute_time (read->points, &record),
                             value);
    }
  if (read->got == before)
    {
      bad = g_error_new_literal (GW_ERROR, GW_ERROR_INVALID, "the endpoint answered without a value");
      end_read (read, bad);
      return;
    }
  if (read->got < read->n)
    ask_values (read);
  else
    end_read (read, NULL);
}

static void
ask_values (Read *read)
{
  GwSession *session = gw_endpoint_get_session (read->points->endpoint);
  GwDataReadReq request = { 0 };
  guint8 buffer[512];
  GwCborWriter body;

  request.n_ids = MIN (read->n - read->got, GW_DATA_IDS_MAX);
  memcpy (request.ids, read->ids + read->got, request.n_ids * sizeof request.ids[0]);
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_data_read_req_encode (&request, &body);
  if (session == NULL)
    {
      g_autoptr (GError) error = g_error_new_literal (GW_ERROR, GW_ERROR_OFFLINE, "the endpoint has gone while it was read");

      end_read (read, error);
      return;
    }
  gw_session_request (session, GW_SMP_OP_READ, GW_SESSION_GROUP_DATA, GW_DATA_READ, &body, GW_SMP_PATIENCE_NORMAL, on_values,
                      read);
}

/* Whether it can be asked at all. */
static gboolean
check_ready (GwPoints *self, GError **error)
{
  if (gw_endpoint_get_record (self->endpoint)->lifecycle != GW_LIFECYCLE_ENROLLED
      || gw_endpoint_get_record (self->endpoint)->cloned)
    g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "the endpoint is %s: only an enrolled one is read or written",
                 gw_endpoint_get_state (self->endpoint));
  else if (gw_endpoint_get_session (self->endpoint) == NULL)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_OFFLINE, "the endpoint has no proven session: plug it in first");
  else
    return TRUE;
  return FALSE;
}

static gboolean
choose_ids (GwPoints *self, Read *read, const guint32 *ids, gsize n, GError **error)
{
  for (gsize i = 0; i < n; i++)
    {
      const GwPoint *point = gw_points_lookup (self, ids[i]);

      if (point == NULL || (point->access & GW_DATA_ACCESS_READ) == 0)
        {
          g_set_error (error, GW_ERROR, point == NULL ? GW_ERROR_NOT_FOUND : GW_ERROR_UNSUPPORTED,
                       point == NULL ? "the endpoint has no point %u" : "point %u cannot be read", ids[i]);
          return FALSE;
        }
      read->ids[read->n++] = ids[i];
    }
  for (guint i = 0; n == 0 && i < self->points->len && read->n < GW_POINTS_READ_MAX; i++)
    {
      GwPoint *point = g_ptr_array_index (self->points, i);

      if ((point->access & GW_DATA_ACCESS_READ) != 0)
        read->ids[read->n++] = point->id;
    }
  if (read->n == 0)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_NOT_FOUND, "the endpoint has no point that can be read");
  return read->n > 0;
}

void
gw_points_read (GwPoints *self, const guint32 *ids, gsize n, GwPointsRead done, gpointer data)
{
  Read *read = g_new0 (Read, 1);
  g_autoptr (GError) error = NULL;

  read->points = self;
  read->done = done;
  read->data = data;
  g_variant_builder_init (&read->values, G_VARIANT_TYPE ("a(utv)"));
  self->reads = g_list_prepend (self->reads, read);
  if (n > GW_POINTS_READ_MAX)
    g_set_error (&error, GW_ERROR, GW_ERROR_LIMIT, "at most %d points are read at a time", GW_POINTS_READ_MAX);
  if (error != NULL || !check_ready (self, &error) || !choose_ids (self, read, ids, n, &error))
    end_read (read, error);
  else
    ask_values (read);
}

/* ---- writing ---- */

static void
write_release (Write *write)
{
  if (--write->holds > 0)
    return;
  gw_timer_disarm (&write->timer);
  g_free (write);
}

/* The outcome, once. */
static void
end_write (Write *write, GVariant *value, gboolean repeated, const GError *error)
{
  g_autoptr (GVariant) owned = value != NULL ? g_variant_ref_sink (value) : NULL;

  if (write->points == NULL)
    return;
  write->points->writes = g_list_remove (write->points->writes, write);
  write->points = NULL;
  gw_timer_disarm (&write->timer);
  write->done (owned, repeated, error, write->data);
  write_release (write);
}

static void
outcome_unknown (Write *write)
{
  g_autoptr (GError) error = g_error_new_literal (
      GW_ERROR, GW_ERROR_FAILED, "outcome unknown: the session ended before the endpoint answered; read the point back");

  end_write (write, NULL, FALSE, error);
}

static void
on_outcome_late (gpointer data)
{
  outcome_unknown (data);
}

/* What the endpoint's own errors mean to the one who wrote. */
static GError *
write_error (const GwSmpResult *result, const GError *error)
{
  static const struct
  {
    guint16 rc;
    GwError code;
    const char *text;
  } table[] = {
    { GW_DATA_ERR_NO_POINT, GW_ERROR_NOT_FOUND, "the endpoint has no such point" },
    { GW_DATA_ERR_TYPE, GW_ERROR_INVALID, "the endpoint wants another type of value" },
    { GW_DATA_ERR_RANGE, GW_ERROR_INVALID, "the value is outside the endpoint's limits" },
    { GW_DATA_ERR_NOT_WRITABLE, GW_ERROR_UNSUPPORTED, "the endpoint does not let this point be written" },
    { GW_DATA_ERR_EXPIRED, GW_ERROR_TIMEOUT, "the time to live was over before it reached the endpoint: nothing was done" },
    { GW_DATA_ERR_INTERLOCK, GW_ERROR_BAD_STATE, "the endpoint's interlock forbids it now" },
  };

  for (guint i = 0; result->in_group && i < G_N_ELEMENTS (table); i++)
    if (table[i].rc == result->rc)
      return g_error_new_literal (GW_ERROR, table[i].code, table[i].text);
  return g_error_copy (error);
}

static void
on_written (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  Write *write = data;
  g_autoptr (GError) failure = NULL;
  GwDataWriteRsp answer;

  if (write->points == NULL)
    ;
  else if (result->rc == 0 && (g_error_matches (error, GW_ERROR, GW_ERROR_BUSY) || g_error_matches (error, GW_ERROR, GW_ERROR_LIMIT)))
    end_write (write, NULL, FALSE, error); /* it never went out */
  else if (error != NULL && result->rc == 0)
    {
      /* No answer at all: it may have been done. The next session is asked. */
      write->lost = TRUE;
      gw_timer_arm (&write->timer, GW_POINTS_OUTCOME_USEC);
    }
  else if (error != NULL)
    {
      failure = write_error (result, error);
      end_write (write, NULL, FALSE, failure);
    }
  else if (gw_data_write_rsp_decode (body, &answer) != GW_OK)
    outcome_unknown (write);
  else
    {
      gw_endpoint_note_uptime (write->points->endpoint, answer.uptime_ms);
      end_write (write, gw_points_value_to_variant (&answer.value), answer.has_duplicate && answer.duplicate, NULL);
    }
  write_release (write);
}

static void
on_status (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  Write *write = data;
  g_autoptr (GError) refused = NULL;
  GwDataStatusRsp answer;

  if (write->points == NULL)
    ;
  else if (error != NULL || gw_data_status_rsp_decode (body, &answer) != GW_OK || answer.state == GW_DATA_COMMAND_RUNNING)
    outcome_unknown (write);
  else if (answer.state == GW_DATA_COMMAND_REFUSED)
    {
      refused = g_error_new_literal (GW_ERROR, GW_ERROR_BAD_STATE, "the endpoint refused the write");
      end_write (write, NULL, FALSE, refused);
    }
  else
    end_write (write, answer.has_value ? gw_points_value_to_variant (&answer.value) : g_variant_new_string (""), TRUE, NULL);
  write_release (write);
}

static void
ask_status (Write *write, GwSession *session)
{
  GwDataStatusReq request;
  guint8 buffer[32];
  GwCborWriter body;

  memcpy (request.request, write->request, sizeof request.request);
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_data_status_req_encode (&request, &body);
  write->lost = FALSE;
  write->holds++;
  gw_session_request (session, GW_SMP_OP_READ, GW_SESSION_GROUP_DATA, GW_DATA_COMMAND_STATUS, &body, GW_SMP_PATIENCE_NORMAL,
                      on_status, write);
}

static gboolean
check_write (GwPoints *self, guint32 id, GVariant *value, gboolean force, GwValue *out, GError **error)
{
  const GwPoint *point = gw_points_lookup (self, id);

  if (!check_ready (self, error))
    return FALSE;
  if (point == NULL)
    g_set_error (error, GW_ERROR, GW_ERROR_NOT_FOUND, "the endpoint has no point %u", id);
  else if ((point->access & GW_DATA_ACCESS_WRITE) == 0)
    g_set_error (error, GW_ERROR, GW_ERROR_UNSUPPORTED, "point '%s' cannot be written", point->name);
  else if (point->unsafe && !force)
    g_set_error (error, GW_ERROR, GW_ERROR_NOT_AUTHORIZED, "point '%s' is marked unsafe: repeat with the option 'force' if you mean it",
                 point->name);
  else if (g_list_length (self->writes) >= GW_POINTS_PENDING_MAX)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_BUSY, "too many writes wait for this endpoint: try again when it has answered");
  else if (gw_endpoint_get_uptime (self->endpoint) == 0)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_OFFLINE, "the endpoint's uptime is not known yet: try again in a moment");
  else
    return gw_points_value_from_variant (point, value, out, error);
  return FALSE;
}

void
gw_points_write (GwPoints *self,
                 guint32 id,
                 GVariant *value,
                 guint ttl_msec,
                 gboolean force,
                 GwPointsWritten done,
                 gpointer data)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (value);
  g_autoptr (GError) error = NULL;
  GwDataWriteReq request = { .id = id };
  guint8 buffer[GW_DATA_VALUE_MAX + 64];
  GwCborWriter body;
  Write *write;

  if (!check_write (self, id, owned, force, &request.value, &error))
    {
      done (NULL, FALSE, error, data);
      return;
    }
  write = g_new0 (Write, 1);
  write->points = self;
  write->done = done;
  write->data = data;
  write->holds = 2; /* the list's and the request's */
  gw_timer_init (&write->timer, gw_endpoint_get_services (self->endpoint)->loop, on_outcome_late, write);
  gnutls_rnd (GNUTLS_RND_NONCE, write->request, sizeof write->request);
  memcpy (request.request, write->request, sizeof request.request);
  request.by_ms = gw_endpoint_get_uptime (self->endpoint) + MIN (ttl_msec, GW_POINTS_TTL_MAX_MSEC);
  self->writes = g_list_prepend (self->writes, write);
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_data_write_req_encode (&request, &body);
  gw_session_request (gw_endpoint_get_session (self->endpoint), GW_SMP_OP_WRITE, GW_SESSION_GROUP_DATA, GW_DATA_WRITE, &body,
                      GW_SMP_PATIENCE_NORMAL, on_written, write);
}

/* ---- reports ---- */

GVariant *
gw_points_values_of_report (GwPoints *self, GwBytes body)
{
  GVariantBuilder values;
  GwDataReport report;
  GwDataRecord record;

  if (gw_data_report_decode (body, &report) != GW_OK)
    return NULL;
  g_variant_builder_init (&values, G_VARIANT_TYPE ("a(utv)"));
  while (gw_data_records_next (&report.records, &record))
    {
      g_autofree char *name = g_strdup_printf ("%.*s%.*s", (int) record.base_name.len,
                                               record.base_name.len > 0 ? record.base_name.ptr : "", (int) record.name.len,
                                               record.name.len > 0 ? record.name.ptr : "");
      const GwPoint *point = gw_points_lookup_name (self, name);

      if (point != NULL)
        g_variant_builder_add (&values, "(utv)", point->id, (guint64) absolute_time (self, &record),
                               gw_points_value_to_variant (&record.value));
    }
  return g_variant_builder_end (&values);
}

/* ---- life ---- */

static void
describe (GwPoints *self, GwSession *session)
{
  if (self->describing != NULL && self->describing->session == session)
    return;
  forget_description (self);
  self->describing = g_new0 (Description, 1);
  self->describing->points = self;
  self->describing->session = gw_session_ref (session);
  self->describing->arrived = g_ptr_array_new_with_free_func ((GDestroyNotify) point_free);
  ask_description (self->describing);
}

static void
on_again (gpointer data)
{
  GwPoints *self = data;
  GwSession *session = gw_endpoint_get_session (self->endpoint);

  if (session != NULL)
    describe (self, session);
}

void
gw_points_begin (GwPoints *self)
{
  GwSession *session = gw_endpoint_get_session (self->endpoint);
  g_autoptr (GList) writes = g_list_copy (self->writes);

  if (session == NULL)
    return;
  for (GList *l = writes; l != NULL; l = l->next)
    if (((Write *) l->data)->lost)
      ask_status (l->data, session);
  self->again_usec = 0;
  describe (self, session);
}

GwPoints *
gw_points_new (GwEndpoint *endpoint, void (*described) (gpointer data), gpointer data)
{
  GwPoints *self = g_new0 (GwPoints, 1);

  self->endpoint = endpoint;
  self->described = described;
  self->data = data;
  self->points = g_ptr_array_new_with_free_func ((GDestroyNotify) point_free);
  gw_timer_init (&self->again, gw_endpoint_get_services (endpoint)->loop, on_again, self);
  return self;
}

void
gw_points_free (GwPoints *self)
{
  g_autoptr (GError) error = g_error_new_literal (GW_ERROR, GW_ERROR_CANCELLED, "the agent stops, or has forgotten the endpoint");

  while (self->writes != NULL)
    end_write (self->writes->data, NULL, FALSE, error);
  for (GList *l = self->reads; l != NULL; l = l->next)
    {
      Read *read = l->data;

      read->done (NULL, error, read->data);
      read->points = NULL;
    }
  g_list_free (self->reads);
  forget_description (self);
  g_ptr_array_unref (self->points);
  g_free (self);
}
