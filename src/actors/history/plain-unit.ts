import type { NewUnit, Unit } from '../contracts/unit.ts'

/** A unit as it is handed to a store: plain data, what is absent left out; the epoch it was recorded under, if any. */
export function plainUnit(unit: Unit): NewUnit {
  const {
    seq,
    at,
    events,
    origin,
    outputs,
    mail,
    sources,
    requestId,
    trace,
    attempts,
    state,
    creation,
    machine,
    epoch,
  } = unit
  return {
    seq,
    at,
    events,
    origin,
    outputs,
    ...(mail && { mail }),
    ...(sources && { sources }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(trace && { trace }),
    ...(attempts === undefined ? {} : { attempts }),
    ...(state === undefined ? {} : { state }),
    ...(creation && { creation }),
    ...(machine === undefined ? {} : { machine }),
    epoch: epoch ?? null,
  }
}
