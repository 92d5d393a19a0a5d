import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { parseConfig } from './config.ts'
import { foreign } from './failures.ts'
import { layoutVersion } from './layout.ts'

/** What `git clone --filter` sets; which of them depends on the version. */
const partial = /^extensions\.partialclone$|^remote\..*\.promisor$/

/** Extensions of Git that change nothing of what we read and write, with those that we look at. */
const extensions = new Set(
  ['noop', 'noop-v1', 'partialclone', 'preciousobjects', 'worktreeconfig', 'relativeworktrees', 'submodulepathconfig']
    .concat('objectformat', 'refstorage')
    .map(name => `extensions.${name}`),
)

/** What the configuration of a repository says. @throws STORE_FORMAT, STORE_FOREIGN: refs or objects that we cannot read */
export function readConfig(
  gitdir: string,
  text: string,
): { readonly objectFormat: ObjectFormat; readonly ours: boolean; readonly isPartial: boolean } {
  const config = parseConfig(text)
  const version = config.get('xmachines.format')
  if (version !== undefined && version !== layoutVersion) {
    throw new XMachinesError(
      'STORE_FORMAT',
      `The repository ${gitdir} was written with layout ${version}; this version reads ${layoutVersion}. Use the version that wrote it.`,
      { details: { path: gitdir, version } },
    )
  }
  const objectFormat = objectFormatOf(gitdir, config)
  checkLayout(gitdir, config)
  return {
    objectFormat,
    ours: version !== undefined,
    isPartial: [...config.keys()].some(name => partial.test(name)),
  }
}

/** Git, too, touches nothing where it does not know what was agreed on. */
function checkLayout(gitdir: string, config: ReadonlyMap<string, string>): void {
  const version = config.get('core.repositoryformatversion') ?? '0'
  const next = 'Use a version of this package that knows it.'
  if (version !== '0' && version !== '1') throw foreign(gitdir, `has layout ${version} of Git`, next, { version })
  // Of version 0, they mean nothing.
  const unknown = [...config.keys()].find(name => name.startsWith('extensions.') && !extensions.has(name))
  if (version === '1' && unknown !== undefined)
    throw foreign(gitdir, `is kept as '${unknown}' says, which is not known here`, next, { extension: unknown })
}

function objectFormatOf(gitdir: string, config: ReadonlyMap<string, string>): ObjectFormat {
  const refStorage = config.get('extensions.refstorage')
  if (refStorage !== undefined && refStorage !== 'files') {
    throw foreign(gitdir, `keeps its refs as '${refStorage}'`, 'Make a repository with --ref-format=files.', {
      refStorage,
    })
  }
  const found = config.get('extensions.objectformat') ?? 'sha1'
  if (found !== 'sha1' && found !== 'sha256') {
    throw foreign(gitdir, `has objects of format '${found}'`, 'Make one with sha1 or sha256.', { objectFormat: found })
  }
  return found
}

/** @throws OBJECT_FORMAT_MISMATCH */
export function checkFormat(
  { gitdir, objectFormat }: { readonly gitdir: string; readonly objectFormat: ObjectFormat },
  wanted: ObjectFormat,
): void {
  if (objectFormat === wanted) return
  throw new XMachinesError(
    'OBJECT_FORMAT_MISMATCH',
    `The repository ${gitdir} has objects of format ${objectFormat}, not ${wanted}. Give one of format ${wanted}, made with \`xmachines git init --object-format ${wanted}\`.`,
    { details: { path: gitdir, objectFormat } },
  )
}

/** The configuration of a new repository. */
export function configText(bare: boolean, objectFormat: ObjectFormat): string {
  const sha256 = objectFormat === 'sha256'
  return [
    '[core]',
    `\trepositoryformatversion = ${sha256 ? 1 : 0}`,
    '\tfilemode = true',
    `\tbare = ${bare}`,
    ...(sha256 ? ['[extensions]', '\tobjectformat = sha256'] : []),
    ...[...safeguards, ...pushSafeguards].flatMap(([section, values]) => [
      `[${section}]`,
      ...values.map(value => `\t${value}`),
    ]),
    '',
  ].join('\n')
}

type Settings = readonly (readonly [section: string, values: readonly string[]])[]

/** What every repository needs that we write to: refs are synced like objects, and a later layout can be told from this one. */
export const safeguards: Settings = [
  ['core', ['fsync = committed,reference']],
  ['xmachines', [`format = ${layoutVersion}`]],
]

/** What one needs that takes pushes: what is pushed is checked, and only ever added. It concerns all branches, not ours alone. */
export const pushSafeguards: Settings = [
  ['receive', ['denyNonFastForwards = true', 'denyDeletes = true', 'fsckObjects = true']],
]

/**
 * A configuration with settings that it has not got.
 *
 * @param isSet whether what is there will do @default whatever it is
 * @returns `undefined`: nothing is missing
 */
export function withSettings(
  text: string,
  settings: Settings,
  isSet: (found: string, wanted: string) => boolean = () => true,
): string | undefined {
  const values = parseConfig(text)
  const missing = settings.flatMap(([section, lines]) =>
    lines.flatMap(line => {
      const [name, wanted] = line.split(' = ') as [string, string]
      const found = values.get(`${section}.${name}`.toLowerCase())
      return found !== undefined && isSet(found, wanted) ? [] : [`[${section}]\n\t${line}\n`]
    }),
  )
  return missing.length === 0 ? undefined : `${text.replace(/([^\n])\n*$/, '$1\n')}${missing.join('')}`
}
