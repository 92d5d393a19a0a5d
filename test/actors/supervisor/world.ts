import { onTestFinished } from 'vitest'
import type {
  BrokerRecord,
  OutgoingRecord,
  RunHead,
  Store,
  SuperviseOptions,
  Supervisor,
  SupervisorEvent,
  Unit,
} from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { type MemoryBroker, memoryBroker } from 'xmachines/transports/memory'
import type { Environment } from '../../../src/actors/environment.ts'
import type { AnyMachine } from '../../../src/actors/run/types.ts'
import { superviseIn } from '../../../src/actors/supervisor/index.ts'
import { counter } from '../run/machines.ts'
import { VirtualEnvironment } from './virtual-environment.ts'

/** The same store under another identity: what another process has of it. */
export function otherProcess(store: Store): Store {
  return new Proxy(store, {
    get(target, key) {
      const value = target[key as keyof Store] as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

type Options = Partial<SuperviseOptions<AnyMachine>> & {
  readonly environment?: Environment
  readonly group?: string
  readonly sends?: boolean
  readonly refuses?: boolean
  readonly watched?: boolean
}

/** A supervisor that a test has started, with what happened to it. */
export interface Started {
  readonly supervisor: Supervisor
  readonly consumer: SuperviseOptions['consumer']
  readonly happened: SupervisorEvent[]
  /** Resolves to the next event of this type, or the first one there was. */
  event<T extends SupervisorEvent['type']>(type: T, count?: number): Promise<SupervisorEvent & { readonly type: T }>
}

/** A broker, a store and supervisors in one virtual time. Topic `t`, results `r`, dead letters `d`. */
export class World {
  readonly environment = new VirtualEnvironment()
  readonly broker: MemoryBroker
  readonly store: Store
  readonly #started: Started[] = []

  constructor(options: { readonly partitions?: number; readonly store?: Store } = {}) {
    const { partitions = 1, store = memoryStore() } = options
    this.broker = memoryBroker({
      partitions,
      id: 'cluster',
      timers: this.environment,
      clock: () => this.environment.now(),
    })
    this.store = store
    onTestFinished(() => this.end())
  }

  /** Starts a supervisor. @param options `refuses`: with a dead-letter topic (default); `sends`: with a result topic; `watched`: its events are read (default) */
  supervise(options: Options = {}): Started {
    const {
      environment = this.environment,
      group = 'g',
      sends = false,
      refuses = true,
      watched = true,
      ...rest
    } = options
    const consumer = rest.consumer ?? this.broker.consumer({ topic: 't', group })
    const supervisor = superviseIn(environment, {
      machine: counter,
      store: this.store,
      consumer,
      ...(sends ? { results: this.broker.producer({ topic: 'r' }) } : {}),
      ...(refuses ? { deadLetters: this.broker.producer({ topic: 'd' }) } : {}),
      ...rest,
    } as SuperviseOptions<AnyMachine>)
    const started = watch(supervisor, consumer, watched)
    this.#started.push(started)
    return started
  }

  /** Sends one record an event; a string is the value as it is. */
  async send(
    ...records: readonly (readonly [key: string | null, event: unknown, rest?: Partial<OutgoingRecord>])[]
  ): Promise<void> {
    await this.broker.producer({ topic: 't' }).send(
      records.map(([key, event, rest]) => ({
        key,
        value: typeof event === 'string' ? event : JSON.stringify(event),
        ...rest,
      })),
    )
  }

  /** What a topic holds now. */
  async topic(topic: string): Promise<readonly BrokerRecord[]> {
    const consumer = this.broker.consumer({ topic, group: `look-${Math.random()}` })
    const records: BrokerRecord[] = []
    const ends = await consumer.endOffsets(topic)
    const leases = consumer.leases.getReader()
    for (let left = ends.size; left > 0; left--) {
      const { value: lease } = await leases.read()
      const reader = lease!.records.getReader()
      for (let count = ends.get(lease!.partition)!; count > 0; count--) records.push((await reader.read()).value!)
      await lease!.release()
      await reader.cancel()
    }
    leases.releaseLock()
    await consumer.close()
    return records
  }

  async head(key: string, namespace = 't'): Promise<RunHead> {
    const run = await this.store.find(namespace, key)
    if (run === undefined) throw new Error(`There is no run of ${key}.`)
    return (await this.store.head(run))!
  }

  async units(key: string): Promise<readonly Unit[]> {
    const units: Unit[] = []
    for await (const unit of this.store.read((await this.head(key)).run)) units.push(unit)
    return units
  }

  /** The `by` of all events of a run, in order. */
  async added(key: string): Promise<readonly unknown[]> {
    return (await this.units(key)).flatMap(({ events }) => events.map(event => event.by))
  }

  async committed(group = 'g', topic = 't'): Promise<readonly number[]> {
    const observer = this.broker.consumer({ topic, group })
    const offsets = await observer.committedOffsets(topic)
    await observer.close()
    return [...offsets.values()]
  }

  /** Closes every supervisor; time passes until they are. */
  async end(): Promise<void> {
    let closed = false
    const closing = Promise.all(this.#started.map(({ supervisor }) => supervisor.close())).then(() => {
      closed = true
    })
    for (let turn = 0; turn < 100 && !closed; turn++) await this.environment.advance(1000)
    await closing
  }
}

function watch(supervisor: Supervisor, consumer: SuperviseOptions['consumer'], watched: boolean): Started {
  const happened: SupervisorEvent[] = []
  let heard: (() => void)[] = []
  const listen = async (): Promise<void> => {
    for await (const event of supervisor.events) {
      happened.push(event)
      for (const hear of heard.splice(0)) hear()
    }
    heard = []
  }
  if (watched) void listen()
  return {
    supervisor,
    consumer,
    happened,
    async event(type, count = 1) {
      for (;;) {
        const found = happened.filter(event => event.type === type)
        if (found.length >= count) return found[count - 1] as never
        await new Promise<void>(resolve => heard.push(resolve))
      }
    },
  }
}

const utf8 = new TextDecoder()

/** A record's headers as text. */
export function headersOf(record: BrokerRecord): Record<string, string> {
  return Object.fromEntries(record.headers.map(([name, bytes]) => [name, utf8.decode(bytes ?? undefined)]))
}

/** Bytes as text. */
export function textOf(bytes: Uint8Array | null): string | null {
  return bytes && utf8.decode(bytes)
}
