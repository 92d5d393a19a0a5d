import type { RunHead, Store } from '../actors/contracts/store.ts'
import { XMachinesError } from '../actors/errors.ts'
import { headsOf } from './heads.ts'
import { shortId } from './text.ts'

/** How a run is looked for. */
export interface FindRunOptions {
  /** Only keys of this namespace. */
  readonly namespace?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * The run that a person means: by its whole id, by its key, or by the beginning of its id, in this order.
 *
 * @throws RUN_UNKNOWN; RUN_AMBIGUOUS that lists what it may be
 */
export async function findRun(store: Store, name: string, options: FindRunOptions = {}): Promise<RunHead> {
  const { namespace, signal } = options
  const exact = await store.head(name, { signal })
  const found = exact !== undefined ? [exact] : await byKey(store, name, options)
  if (found.length === 0 && /^[0-9a-f]+$/.test(name)) {
    for await (const head of headsOf(store, { prefix: name, namespace, signal })) {
      if ('error' in head) throw head.error
      found.push(head)
      if (found.length > shownMost) break
    }
  }
  const [only] = found
  if (only === undefined) {
    throw new XMachinesError(
      'RUN_UNKNOWN',
      `The store ${store.location} has no run '${name}', neither by id nor by key. \`xmachines runs\` lists what it has.`,
      { details: { run: name } },
    )
  }
  if (found.length > 1) throw ambiguous(name, found)
  return only
}

/** How many candidates an error lists. */
const shownMost = 5

/** A key can be pinned in several namespaces, which only the runs themselves name. */
async function byKey(store: Store, key: string, { namespace, signal }: FindRunOptions): Promise<RunHead[]> {
  const found: RunHead[] = []
  const look = async (where: string): Promise<void> => {
    const run = await store.find(where, key, { signal })
    const head = run === undefined ? undefined : await store.head(run, { signal })
    if (head !== undefined) found.push(head)
  }
  if (namespace !== undefined) {
    await look(namespace)
    return found
  }
  const seen = new Set<string>()
  for await (const { namespace: where } of headsOf(store, { signal })) {
    if (where === undefined || seen.has(where)) continue
    seen.add(where)
    await look(where)
  }
  return found
}

function ambiguous(name: string, found: readonly RunHead[]): XMachinesError {
  const shown = found.slice(0, shownMost).map(head => `${shortId(head.run)} (${nameOf(head)})`)
  const more = found.length > shownMost ? ', …' : ''
  const namespaces = new Set(found.map(head => head.namespace))
  const next =
    found.every(head => head.key === name) && namespaces.size > 1 ? 'Name one with --namespace' : 'Give more digits'
  return new XMachinesError('RUN_AMBIGUOUS', `'${name}' may be ${shown.join(', ')}${more}. ${next}.`, {
    details: { run: name, candidates: found.slice(0, shownMost).map(head => head.run) },
  })
}

/** A run as a person knows it: its key, or that it has none. */
export function nameOf(head: { readonly namespace: string; readonly key?: string | undefined }): string {
  return head.key === undefined ? `${head.namespace}, no key` : `${head.namespace}/${head.key}`
}
