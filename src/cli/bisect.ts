import { Command } from 'commander'
import type { RunHead, Store } from '../actors/contracts/store.ts'
import { type Disagreement, firstDisagreement } from '../actors/replay/bisect.ts'
import { nameOf } from './find-run.ts'
import { headsOf, isOfRun, type LeftOut, tellLeftOut } from './heads.ts'
import { loadMachines, machineIds, noneIsOf } from './load-machine.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { storeArgument } from './store-doors.ts'
import type { Terminal } from './terminal.ts'
import { bothSides, counted, printable, shortId, timeText } from './text.ts'

interface BisectOptions {
  readonly good: string
  readonly bad: string
  readonly namespace?: string
}

/** `xmachines bisect STORE --good M1 --bad M2`: where two versions of a machine begin to disagree. */
export function bisectCommand(): Command {
  return new Command('bisect')
    .description('find the first unit of a store, by its time, that two versions of a machine decide differently')
    .argument('<store>', storeArgument)
    .requiredOption('--good <file>', 'a module that exports the machine, as --machine elsewhere')
    .requiredOption('--bad <file>', 'the other version')
    .option('--namespace <name>', 'only runs of this namespace')
    .action(perform(bisect))
}

async function bisect(terminal: Terminal, location: string, { good, bad, namespace }: BisectOptions): Promise<number> {
  const { signal } = terminal
  const machines = [await loadMachines([good]), await loadMachines([bad])] as const
  return withStore(terminal, location, { access: 'read' }, async store => {
    const ids = new Set(machines.flatMap(machineIds))
    let runs = 0
    let others = 0
    const otherIds = new Set<string>()
    let differing = 0
    let first: { readonly head: RunHead; readonly found: Disagreement } | undefined
    let failed = 0
    const leaveOut = (run: LeftOut): Promise<void> => {
      failed++
      return tellLeftOut(terminal, run)
    }
    for await (const head of headsOf(store, { namespace, signal })) {
      if ('error' in head) {
        await leaveOut(head)
        continue
      }
      // Child runs, say: what another machine than theirs makes of them says nothing.
      if (!ids.has(head.machineId)) {
        others++
        otherIds.add(head.machineId)
        continue
      }
      runs++
      let found: Disagreement | undefined
      try {
        found = await firstDisagreement(store.read(head.run, { signal }), head.machine, ...machines)
      } catch (error) {
        if (!isOfRun(error)) throw error
        await leaveOut({ ...head, error })
      }
      if (found === undefined) continue
      differing++
      if (first === undefined || found.at < first.found.at) first = { head, found }
    }
    if (runs === 0 && others > 0) throw noneIsOf([...ids], otherIds)
    // What a fork shares is its origin's, whichever of them comes first in the store.
    if (first !== undefined && first.found.run !== first.head.run)
      first = { ...first, head: (await origin(store, first.found.run, signal)) ?? first.head }
    const left = failed > 0 && { failed }
    await terminal.print(
      first === undefined
        ? { same: true, runs, ...left }
        : { same: false, runs, ...left, differing, key: first.head.key ?? null, ...first.found },
      () => (first === undefined ? undefined : disagreementText(first.head, first.found)),
    )
    const unread = failed === 0 ? '' : ` ${counted(failed, 'run')} cannot be read to the end.`
    const out = others === 0 ? '' : ` ${counted(others, 'run')} of other machines left out.`
    terminal.say(
      `${counted(runs, 'run')}: ${differing === 0 ? 'both versions decide all alike' : `${counted(differing, 'is', 'are')} decided differently`}.${unread}${out}`,
    )
    return differing + failed === 0 ? 0 : 1
  })
}

/** The run that a fork shares units of. `undefined`: it cannot be read where that stands, which was told. */
async function origin(store: Store, run: string, signal: AbortSignal): Promise<RunHead | undefined> {
  try {
    return await store.head(run, { signal })
  } catch (error) {
    if (!isOfRun(error)) throw error
    return undefined
  }
}

function disagreementText(head: RunHead, { seq, at, path, good, bad }: Disagreement): string {
  const place = `${shortId(head.run)} (${printable(nameOf(head))}): unit ${seq}, ${timeText(at)}: differs at ${path}`
  const [one, other] = bothSides(good, bad, 400)
  return `${place}\n  good  ${one}\n  bad   ${other}`
}
