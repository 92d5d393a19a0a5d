import { XMachinesError } from '../../actors/errors.ts'
import type { Ask } from './connection.ts'
import { storeError } from './failures.ts'

/**
 * What of an acknowledged append survives.
 * - `'always'`: a crash of the server's machine: it is on the disk before it is answered (`appendfsync always`)
 * - `'everysec'`: a crash of the server; of its machine, but for the last second or two (`appendfsync everysec`)
 * - `'memory'`: nothing but what the server's snapshots happen to have
 */
export type ValkeyDurability = 'always' | 'everysec' | 'memory'

/** Something that the store could not make sure of. */
export interface ValkeyWarning {
  readonly code: 'DURABILITY_UNCHECKED'
  readonly message: string
}

/** What the server's settings must be, in the order in which they are looked at. */
interface Wanted {
  readonly setting: string
  readonly found: string | undefined
  readonly allowed: readonly string[]
  readonly why: string
}

/**
 * Makes sure that the server keeps what it acknowledges.
 *
 * @throws STORE_UNSAFE that names the setting and the value it must have; STORE_READ_ONLY of a replica
 */
export async function checkSafety(
  ask: Ask,
  durability: ValkeyDurability,
  location: string,
  warn: (warning: ValkeyWarning) => void,
): Promise<void> {
  const info = readInfo(String(await ask('info', [])))
  const major = Number.parseInt(info.get('redis_version') ?? '', 10)
  const wanted: Wanted[] = [
    {
      setting: 'redis_version',
      found: major >= 7 ? '7 or newer' : info.get('redis_version'),
      allowed: ['7 or newer'],
      why: 'older servers cannot refuse a script before it begins',
    },
    {
      setting: 'maxmemory-policy',
      found: info.get('maxmemory_policy'),
      allowed: ['noeviction'],
      why: 'any other throws histories away when memory runs short',
    },
  ]
  if (durability !== 'memory') {
    wanted.push({
      setting: 'appendonly',
      found: info.get('aof_enabled') === '1' ? 'yes' : 'no',
      allowed: ['yes'],
      why: `\`durability\` is '${durability}'`,
    })
  }
  demand(wanted, location)
  const role = info.get('role')
  if (role !== undefined && role !== 'master') {
    throw storeError('STORE_READ_ONLY', location, `the server is a replica of ${info.get('master_host')}`)
  }
  if (durability !== 'memory') await checkFsync(ask, durability, location, warn)
}

async function checkFsync(
  ask: Ask,
  durability: 'always' | 'everysec',
  location: string,
  warn: (warning: ValkeyWarning) => void,
): Promise<void> {
  const why = `\`durability\` is '${durability}'`
  const settings = { appendfsync: ['always'], 'no-appendfsync-on-rewrite': ['no'] }
  if (durability === 'everysec') settings.appendfsync.push('everysec')
  for (const [setting, allowed] of Object.entries(settings)) {
    const answer = await configured(ask, setting)
    if (answer === undefined) {
      const message = `The store ${location} may not read the server's configuration: make sure that ${setting} is ${allowed.join(' or ')}.`
      warn({ code: 'DURABILITY_UNCHECKED', message })
    } else demand([{ setting, found: answer, allowed, why }], location)
  }
}

/** The value of a setting, or nothing where one may not ask. */
async function configured(ask: Ask, setting: string): Promise<string | undefined> {
  try {
    const [, value] = (await ask('config', ['get', setting])) as string[]
    return value
  } catch (error) {
    // A connection that was lost is another thing than a right that is missing.
    if (XMachinesError.is(error, 'STORE_UNAVAILABLE') && !/unknown command/i.test(error.message)) throw error
    return undefined
  }
}

function demand(wanted: readonly Wanted[], location: string): void {
  for (const { setting, found, allowed, why } of wanted) {
    if (found !== undefined && allowed.includes(found)) continue
    const must = allowed.join(' or ')
    const message = `The store ${location}: the server's ${setting} is ${found ?? 'unknown'} and must be ${must}, as ${why}.`
    throw new XMachinesError('STORE_UNSAFE', `${message} Set it: CONFIG SET ${setting} ${allowed[0]}.`, {
      details: { location, setting, found, must },
    })
  }
}

function readInfo(text: string): Map<string, string> {
  const entries = text.split(/\r?\n/).filter(line => line.includes(':'))
  return new Map(entries.map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]))
}
