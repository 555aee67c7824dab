/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The platform interface: the few functions that a board (or the simulator) gives the endpoint library.
 *
 * Ownership: the platform owns the structure and everything behind `ctx`; both outlive every object that was
 * made with them. All calls come from the thread that drives the endpoint; none is re-entered, and none may
 * call back into the library. Where a function returns int, 0 is success and a negative GW_E* is the error.
 * Pointers handed in are valid only during the call. Functions marked optional may be NULL. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Small flash slots. Each is written atomically: after a power cut it holds the old or the new content. */
typedef enum
{
  GW_EP_NV_HELPER,      /* PUF helper data: public, written once in the chip's life, kept by every reset */
  GW_EP_NV_KEY_ID,      /* key id and check value of the PUF secret: public, written once */
  GW_EP_NV_GENERATION,  /* monotonic counter of K_tls: nothing ever lowers it */
  GW_EP_NV_CERT_1,      /* certificate of slot 1 (current K_tls) */
  GW_EP_NV_CERT_2,      /* certificate of slot 2 (next K_tls) */
  GW_EP_NV_ANCHOR,      /* the owner CA's certificate; absent = unowned */
  GW_EP_NV_VOUCHER_KEY, /* the manufacturer's voucher key (SPKI), if the factory put one */
  GW_EP_NV_STATE,       /* free for the core: at most 64 octets */
  GW_EP_NV_N_SLOTS,
} GwEpNvSlot;

/* Largest content of a flash slot, octets. */
#define GW_EP_NV_MAX 2048

/* Longest name, unit and text value of a point, octets without the final NUL. */
#define GW_EP_NAME_MAX 31
#define GW_EP_UNIT_MAX 15
#define GW_EP_TEXT_MAX 64

/* The types of gw_data `ty`. */
typedef enum
{
  GW_EP_BOOL = 1,
  GW_EP_INT = 2,
  GW_EP_FLOAT = 3,
  GW_EP_TEXT = 4,
  GW_EP_BYTES = 5,
} GwEpType;

/* Bits of gw_data `a`. */
#define GW_EP_ACCESS_READ 1u
#define GW_EP_ACCESS_WRITE 2u
#define GW_EP_ACCESS_REPORT 4u

/* A point: one sensor or actuator value. Strings are UTF-8, NUL-terminated, owned by the platform. */
typedef struct
{
  uint32_t id;
  const char *name;
  const char *unit; /* SenML unit (RFC 8428, section 12.1); NULL = none */
  GwEpType type;
  uint8_t access;  /* GW_EP_ACCESS_* */
  bool has_limits; /* lo and hi hold; a write outside is refused by the core before the platform sees it */
  bool has_step;   /* step holds */
  bool unsafe;     /* acts on something that can hurt: the gateway asks for more before it writes */
  double lo, hi, step;
} GwEpPoint;

/* A point's value. Texts and octets are held inside, so a value can be copied and kept. */
typedef struct
{
  GwEpType type;
  union
  {
    bool b;
    int64_t i;
    double f;
    struct
    {
      uint8_t len;
      uint8_t octets[GW_EP_TEXT_MAX]; /* UTF-8 for GW_EP_TEXT; not terminated */
    } s;
  } u;
} GwEpValue;

typedef struct
{
  void *ctx; /* first argument of every function */

  /* Milliseconds since power-up: monotonic, starts near 0 at each. */
  uint64_t (*now_ms) (void *ctx);

  /* Hardware entropy: fills out[0..len) or fails. */
  int (*random) (void *ctx, uint8_t *out, size_t len);

  /* The PUF: raw cells as they stood at this power-up, never changing until the next one. Bit i of the region
   * is (octet[i / 8] >> (i % 8)) & 1. The first GW_PUF_CELL_OCTETS octets give the identity; all of them
   * (`puf_octets`, at least as many) are looked at for bias at enrolment. */
  size_t puf_octets;
  int (*puf_read) (void *ctx, size_t offset, uint8_t *out, size_t len);

  /* Flash. nv_read gives *len octets, at most cap; GW_E_NOT_FOUND for a slot never written or erased,
   * GW_E_SPACE where cap is too small. nv_write with len 0 erases. */
  int (*nv_read) (void *ctx, GwEpNvSlot slot, uint8_t *out, size_t cap, size_t *len);
  int (*nv_write) (void *ctx, GwEpNvSlot slot, const uint8_t *data, size_t len);

  /* Sends a datagram towards the gateway; best effort, never blocks. GW_E_AGAIN: dropped, the line is full. */
  int (*send) (void *ctx, const uint8_t *datagram, size_t len);

  /* Restarts the chip soon after the call returned (not inside it). */
  void (*reset) (void *ctx);

  /* Makes the endpoint show itself (blink) for so many milliseconds. Optional. */
  void (*identify) (void *ctx, uint32_t ms);

  /* Whether the owner's button is pressed: it opens first use again after the time window. Optional. */
  bool (*button) (void *ctx);

  /* How long a signature shall take, in milliseconds, before it is made; 0 = at once. Real chips leave it
   * NULL; the simulator delays signatures by it without blocking. Asked once a signature. Optional. */
  uint32_t (*sign_delay_ms) (void *ctx);

  /* The points. point_describe gives number `index`, NULL past the last; the answer stays valid and unchanged
   * while powered. point_read and point_write: GW_E_NOT_FOUND unknown id, GW_E_STATE interlock. point_write
   * gets a value already checked for type, limits and access and gives back the value in force afterwards. */
  const GwEpPoint *(*point_describe) (void *ctx, size_t index);
  int (*point_read) (void *ctx, uint32_t id, GwEpValue *value);
  int (*point_write) (void *ctx, uint32_t id, const GwEpValue *value, GwEpValue *actual);
} GwEpPlatform;
