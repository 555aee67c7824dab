/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-serial-meter.h"

#include <string.h>

#include "gw-link-codec.h"
#include "gw-time.h"

#define FULL_DATAGRAM GW_LINK_MTU_MIN
#define FLAGS 2 /* octets around a frame */

void
gw_serial_meter_init (GwSerialMeter *self, unsigned speed, int64_t now)
{
  memset (self, 0, sizeof *self);
  self->until = now + gw_time_ms (GW_SERIAL_METER_WINDOW_MS);
  self->figures.octets_per_second = speed / 10;
}

/* ---- In a window ---- */

void
gw_serial_meter_sent (GwSerialMeter *self, size_t octets)
{
  self->octets += octets;
}

void
gw_serial_meter_heard (GwSerialMeter *self, size_t octets)
{
  self->octets += octets;
  self->heard += octets;
}

void
gw_serial_meter_frame (GwSerialMeter *self, size_t info)
{
  self->good += info + GW_FRAME_OVERHEAD + FLAGS;
}

void
gw_serial_meter_carried (GwSerialMeter *self, size_t octets, int64_t took)
{
  self->data_octets += octets;
  self->data_time += took;
}

void
gw_serial_meter_waited (GwSerialMeter *self, int64_t time)
{
  self->wait_max = gw_time_max (self->wait_max, time);
}

void
gw_serial_meter_used (GwSerialMeter *self, uint8_t address, int64_t time)
{
  self->stations[address].time += time;
}

void
gw_serial_meter_unasked (GwSerialMeter *self, uint8_t address, size_t info)
{
  self->stations[address].unasked++;
  self->stations[address].unasked_octets += info + GW_FRAME_OVERHEAD + FLAGS;
}

void
gw_serial_meter_forget (GwSerialMeter *self, uint8_t address)
{
  self->stations[address].unasked = 0;
  self->stations[address].unasked_octets = 0;
  self->stations[address].windows = 0;
}

/* ---- Its end ---- */

/* One that takes much of the line for seconds, while there are others. */
static GwSerialConduct
judge (GwSerialMeter *self, const GwExchange *line, uint8_t address, int64_t length)
{
  int64_t time = self->stations[address].time + gw_exchange_usec (line, self->stations[address].unasked_octets);
  uint32_t permille = (uint32_t) (time * 1000 / length);
  bool babbles = self->stations[address].unasked >= GW_SERIAL_METER_UNASKED_MAX;
  uint8_t *windows = &self->stations[address].windows;

  *windows = permille < GW_SERIAL_METER_CULPRIT_PERMILLE ? 0 : (uint8_t) gw_time_min (*windows + 1, UINT8_MAX);
  if (!babbles && *windows < GW_SERIAL_METER_CULPRIT_WINDOWS)
    return GW_SERIAL_METER_GOOD;
  if (address != 0 && (self->figures.culprit == 0 || permille > self->figures.culprit_permille))
    {
      self->figures.culprit = address;
      self->figures.culprit_permille = permille < 1000 ? permille : 1000;
    }
  return babbles ? GW_SERIAL_METER_BABBLES : GW_SERIAL_METER_HOGS;
}

static void
judge_all (GwSerialMeter *self, const GwExchange *line, unsigned n_up, int64_t length)
{
  self->figures.culprit = 0;
  self->figures.culprit_permille = 0;
  for (unsigned a = 0; a <= GW_FRAME_ADDRESS_STATION_MAX; a++)
    {
      self->stations[a].conduct = GW_SERIAL_METER_GOOD;
      if (n_up >= GW_SERIAL_METER_CULPRIT_STATIONS || self->stations[a].unasked > 0)
        self->stations[a].conduct = judge (self, line, (uint8_t) a, length);
      self->stations[a].time = 0;
      self->stations[a].unasked = 0;
      self->stations[a].unasked_octets = 0;
    }
}

/* Collisions of a search are garbage too, but not for so long. */
static bool
was_jammed (const GwSerialMeter *self, const GwExchange *line, int64_t length)
{
  size_t bad = self->heard > self->good ? self->heard - self->good : 0;

  return gw_exchange_usec (line, bad) * 1000 > length * GW_SERIAL_METER_JAM_PERMILLE;
}

int64_t
gw_serial_meter_due (const GwSerialMeter *self)
{
  return self->until;
}

const GwSerialFigures *
gw_serial_meter_end (GwSerialMeter *self, const GwExchange *line, unsigned n_up, int64_t now)
{
  int64_t length = gw_time_ms (GW_SERIAL_METER_WINDOW_MS) + now - self->until;
  int64_t wait = gw_time_max (self->wait_max, self->wait_max_before);
  int64_t frame = gw_exchange_usec (line, FULL_DATAGRAM);

  self->figures.load_permille = (uint32_t) (gw_exchange_usec (line, self->octets) * 1000 / length);
  self->figures.round_trip_ms = (uint32_t) ((2 * gw_time_max (wait, frame) + 2 * frame) / GW_TIME_MS + 1);
  if (self->data_time > 0)
    self->figures.octets_per_second = (uint32_t) (self->data_octets * 1000000 / self->data_time);
  self->figures.jammed = was_jammed (self, line, length);
  judge_all (self, line, n_up, length);
  self->wait_max_before = self->wait_max;
  self->wait_max = self->data_time = 0;
  self->octets = self->data_octets = self->heard = self->good = 0;
  self->until = now + gw_time_ms (GW_SERIAL_METER_WINDOW_MS);
  return &self->figures;
}

bool
gw_serial_meter_is_jammed (const GwSerialMeter *self)
{
  return self->figures.jammed;
}

GwSerialConduct
gw_serial_meter_get_conduct (const GwSerialMeter *self, uint8_t address)
{
  return self->stations[address].conduct;
}
