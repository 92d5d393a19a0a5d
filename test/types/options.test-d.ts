import { createHost, createRun, defineMachine, openRun, supervise, watchRun } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { gitStore } from 'xmachines/persistence/git'
import { memoryStore } from 'xmachines/persistence/memory'
import { simulate } from 'xmachines/testing'
import { memoryBroker } from 'xmachines/transports/memory'
import { setup } from 'xstate'

// What an app has read from its configuration may be nothing: also with `exactOptionalPropertyTypes` it is handed on as it is.
declare const text: string | undefined
declare const count: number | undefined
declare const yes: boolean | undefined
declare const format: 'sha1' | 'sha256' | undefined
declare const signal: AbortSignal | undefined
const nothing = undefined

const machine = setup({ types: { events: {} as { type: 'GO' } } }).createMachine({ id: 'm' })
defineMachine(machine, {
  version: text,
  unhandled: nothing,
  errors: nothing,
  invocations: nothing,
  migrations: nothing,
})
const store = memoryStore({ objectFormat: format })
fileStore('dir', { objectFormat: format, segmentBytes: count, readOnly: yes, fsync: yes, onWarning: nothing })
gitStore({ dir: 'dir', objectFormat: format, interval: count, fsync: yes, onWarning: nothing })
const broker = memoryBroker({ partitions: count, id: text, clock: nothing, timers: nothing })
const consumer = broker.consumer({ topic: 't', group: 'g', from: nothing, sessionTimeout: count, drainTimeout: count })

const run = createRun(machine, { store: nothing, key: text, limits: { maxBytes: count }, strict: yes })
void run.apply({ type: 'GO' }, { at: count, id: text, signal, source: nothing })
void run.subscribe('out', { from: count, buffer: count })
void run.close({ timeout: count })
void openRun(machine, { store, key: text, id: text, create: yes, signal })
void watchRun(store, run.id, { from: count, ids: yes, interval: count, signal })
createHost({ machine, store, namespace: text, residents: count, idle: count })
supervise({
  machine,
  store,
  consumer,
  results: nothing,
  limits: { maxBatch: count },
  restart: { attempts: count, backoff: nothing, maxParked: count },
})
void simulate({ machine, events: [], seeds: count, invariant: nothing, atEnd: nothing, runs: nothing })
