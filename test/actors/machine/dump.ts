import type { ActorRef } from '../../../src/actors/machine/actor-ref.ts'
import type { LiveMachineSnapshot, LiveRef, LiveSnapshot } from '../../../src/actors/machine/xstate.ts'

/**
 * An actor system as plain data, to be compared: the same code reads a real one and ours, through references only.
 * Session ids are counted from the root's; a reference is `@<session>`.
 */
export interface SystemDump {
  readonly root: ActorDump
  /** By session: every actor that anything refers to, and the running ones that nothing refers to. */
  readonly actors: Readonly<Record<string, ActorDump>>
  readonly systemIds: Readonly<Record<string, string>>
}

/** One actor. */
export interface ActorDump {
  readonly id: string
  readonly processing: number
  readonly state: unknown
}

/** A reader of one system. `base` is the root's session number. */
export class Dumper {
  readonly #base: number

  constructor(root: { readonly sessionId: string }) {
    this.#base = Number(root.sessionId.slice(2))
  }

  /** @param running actors that run, whether or not anything refers to them */
  system(root: LiveRef, running: Iterable<LiveRef>, systemIds: Readonly<Record<string, LiveRef>>): SystemDump {
    const found = new Map<LiveRef, ActorDump>()
    const queue: LiveRef[] = [root, ...running]
    for (let ref = queue.shift(); ref !== undefined; ref = queue.shift()) {
      if (found.has(ref)) continue
      found.set(ref, {
        id: this.text(ref.id),
        processing: ref._processingStatus,
        state: this.snapshot(ref.getSnapshot(), queue),
      })
    }
    const actors = [...found].map(([ref, dump]) => [this.session(ref), dump] as const)
    return {
      root: found.get(root)!,
      actors: Object.fromEntries(actors.sort(([a], [b]) => (a < b ? -1 : 1))),
      systemIds: Object.fromEntries(Object.entries(systemIds).map(([id, ref]) => [id, this.session(ref)])),
    }
  }

  /** Any value, with references and errors as text. Keys keep their order: where it differs, so does what iterates them. */
  value(value: unknown, found: LiveRef[] = []): unknown {
    if (typeof value === 'string') return this.text(value)
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map(item => this.value(item, found))
    if ('sessionId' in value && '_parent' in value) {
      found.push(value as ActorRef)
      return this.session(value as ActorRef)
    }
    if (value instanceof Error) return { error: this.text(value.message) }
    if ('machine' in value) return 'a snapshot'
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, item]) =>
        item === undefined ? [] : [[this.text(key), this.value(item, found)]],
      ),
    )
  }

  /** Default ids are session ids, and reach ids of actors and types of events. */
  text(text: string): string {
    return text.replace(/\bx:(\d+)/g, (_, session: string) => `x:${Number(session) - this.#base}`)
  }

  session(ref: { readonly sessionId: string }): string {
    return `@${Number(ref.sessionId.slice(2)) - this.#base}`
  }

  snapshot(snapshot: LiveSnapshot, found: LiveRef[]): unknown {
    if (!('machine' in snapshot)) {
      const { _subscription, ...plain } = snapshot as LiveSnapshot & { readonly _subscription?: unknown }
      return this.value(plain, found)
    }
    const { status, value, context, historyValue, children, output, error, _nodes, tags } =
      snapshot as LiveMachineSnapshot & { readonly tags: ReadonlySet<string> }
    return this.value(
      {
        status,
        // As text: the order of keys decides the order of regions.
        value: JSON.stringify(value),
        nodes: _nodes.map(node => node.id),
        tags: [...tags],
        context,
        history: Object.fromEntries(
          Object.entries(historyValue).map(([id, nodes]) => [id, nodes.map(node => node.id)]),
        ),
        children: Object.entries(children),
        output,
        error,
      },
      found,
    )
  }
}
