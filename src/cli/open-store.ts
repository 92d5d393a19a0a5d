import type { Store } from '../actors/contracts/store.ts'
import type { ObjectFormat } from '../actors/contracts/unit.ts'
import { XMachinesError } from '../actors/errors.ts'
import { type Door, type DoorSettings, doorOf } from './store-doors.ts'
import type { Terminal } from './terminal.ts'
import { printable } from './text.ts'

/** How a command opens a store. */
export interface OpenStoreOptions {
  /** What for: to read; to write to one that is there; or to write, making it if need be. */
  readonly access: 'read' | 'write' | 'create'
  /** Of a store that is new; one that exists says itself. */
  readonly objectFormat?: ObjectFormat | undefined
}

/** Opens the store of a location, whichever it is. Whoever gets it closes it. */
export async function openStore(terminal: Terminal, location: string, options: OpenStoreOptions): Promise<Store> {
  const { access, objectFormat } = options
  const door = doorOf(location)
  const warn: DoorSettings['warn'] = ({ code, message }) => terminal.say(`${code}: ${printable(message)}`)
  if (access === 'create') return checked(door, { objectFormat, readOnly: false, warn })
  const reader = await checked(door, { objectFormat, readOnly: true, warn })
  if (access === 'read') return reader
  await reader.close()
  return checked(door, { objectFormat: reader.objectFormat, readOnly: false, warn })
}

/** A store that is open. Opening is lazy: whatever is wrong with the place, or with the lock, shows now. */
async function checked(door: Door, settings: DoorSettings): Promise<Store> {
  const store = await door(settings)
  try {
    if (settings.readOnly) await store.find('', '')
    else await store.append([])
    return store
  } catch (thrown) {
    await store.close()
    const found = XMachinesError.is(thrown, 'OBJECT_FORMAT_MISMATCH') ? thrown.details.objectFormat : undefined
    if (settings.objectFormat !== undefined || (found !== 'sha1' && found !== 'sha256')) throw thrown
    return checked(door, { ...settings, objectFormat: found })
  }
}

/** Does `work` with the store of a location, and closes it. */
export async function withStore<T>(
  terminal: Terminal,
  location: string,
  options: OpenStoreOptions,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await openStore(terminal, location, options)
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}
