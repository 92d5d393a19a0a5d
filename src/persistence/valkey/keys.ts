/** The keys of one store: all in one hash slot, and different for whatever prefix, namespace, key or run there may be. */
export class Keys {
  /** What kind of store is kept here: {@link format} and the hash of the ids. */
  readonly store: string
  /** Hash: an instance that writes → how far it got, so that it notices a server that forgot. */
  readonly marks: string
  /** Sorted set of {@link memberOf}, by name only: all runs. */
  readonly runs: string
  /** Set: each namespace that has runs. */
  readonly namespaces: string
  /** Hash: {@link pinName} → run. */
  readonly pins: string
  /** Hash: {@link leaseName} → the row, see `row-text.ts`. */
  readonly leases: string
  /** Hash: oid → JSON. */
  readonly machines: string
  /** Sorted set: process → until when it lives. */
  readonly processes: string
  readonly #base: string

  constructor(prefix: string) {
    // The first pair of braces says which slot: none may come before its end.
    this.#base = `{${named(prefix).replace(/[{}%]/g, brace => `%${brace.charCodeAt(0).toString(16)}`)}}:`
    this.store = `${this.#base}store`
    this.marks = `${this.#base}marks`
    this.runs = `${this.#base}runs`
    this.namespaces = `${this.#base}namespaces`
    this.pins = `${this.#base}pins`
    this.leases = `${this.#base}leases`
    this.machines = `${this.#base}machines`
    this.processes = `${this.#base}processes`
  }

  /** Hash: `row`, what changes; `name`, what hardly does. See `row-text.ts`. */
  run(run: string): string {
    return `${this.#base}run:${named(run)}`
  }

  /** Stream: unit `seq` is entry `<seq + 1>-0`, its field `unit` is a text of `row-text.ts`. */
  units(run: string): string {
    return `${this.#base}units:${named(run)}`
  }

  /** Stream: the mail that waits, by the revision that it came with. */
  inbox(run: string): string {
    return `${this.#base}inbox:${named(run)}`
  }

  /** Hash: every mail that ever came → its entry in the inbox. */
  mail(run: string): string {
    return `${this.#base}mail:${named(run)}`
  }

  /** Hash: seq → JSON. */
  snapshots(run: string): string {
    return `${this.#base}snapshots:${named(run)}`
  }

  /** Sorted set of {@link memberOf} by time: who is due. @param group {@link partitionGroup} or {@link freeGroup} */
  due(group: string): string {
    return `${this.#base}due:${group}`
  }

  /** Sorted set of `<process>\n` + {@link memberOf}, by name only: who has effects in flight. */
  busy(group: string): string {
    return `${this.#base}busy:${group}`
  }
}

/** The format that is written; a newer one is refused. */
export const format = 1

/** The runs of a partition. @param lease {@link leaseName} */
export function partitionGroup(lease: string): string {
  return `at:${lease}`
}

/** The runs of a namespace that are pinned to no partition. */
export function freeGroup(namespace: string): string {
  return `free:${named(namespace)}`
}

/** Names a partition. */
export function leaseName(namespace: string, partition: number): string {
  return `${partition}/${named(namespace)}`
}

/** The partition of {@link leaseName}. */
export function leaseKey(name: string): { readonly namespace: string; readonly partition: number } {
  const slash = name.indexOf('/')
  return { namespace: unnamed(name.slice(slash + 1)), partition: Number(name.slice(0, slash)) }
}

/** Names a run's key within its namespace. */
export function pinName(namespace: string, key: string): string {
  return JSON.stringify([namespace, key])
}

/** A run in a sorted set: in the order of the runs, with its namespace, so that one can pick by it. */
export function memberOf(run: string, namespace: string): string {
  return `${named(run)}\n${named(namespace)}`
}

/** The run and the namespace of {@link memberOf}. */
export function ofMember(member: string): { readonly run: string; readonly namespace: string } {
  const end = member.indexOf('\n')
  return { run: unnamed(member.slice(0, end)), namespace: unnamed(member.slice(end + 1)) }
}

/**
 * Any text as text that UTF-8 can hold and that has no line break, itself where it is so already: JSON without its quotes.
 * Half of a surrogate pair would become another character on its way.
 */
export function named(text: string): string {
  return plain.test(text) ? text : JSON.stringify(text).slice(1, -1)
}

/** What JSON writes as it is, most names. */
const plain = /^[ !#-[\]-~]*$/

/** The text of {@link named}. */
export function unnamed(name: string): string {
  return name.includes('\\') ? (JSON.parse(`"${name}"`) as string) : name
}

/** A number as the server's sorted sets write it. */
export function scoreOf(number: number): string {
  return String(number).replace('Infinity', 'inf')
}
