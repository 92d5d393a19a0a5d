import type { Reporter, TestCase, Vitest } from 'vitest/node'

type Log = Parameters<NonNullable<Reporter['onUserConsoleLog']>>[0]

/**
 * Ends a test run with what nobody sees otherwise, as the logs of tests that pass are not shown: what fault programs did,
 * with the seeds that repeat them, and what was skipped, and why.
 *
 * A test that logs `FC_SEED=…` is a fault program: all that it logs is its line. Whatever logs `SKIPPED: …` says why.
 */
export class ClosingReport implements Reporter {
  #vitest: Vitest | undefined
  /** By test: what it logged. */
  readonly #logs = new Map<string, string[]>()
  /** Tests that were skipped after they had logged: they did nothing. */
  readonly #idle = new Set<string>()
  /** By reason: the files that it was given in. */
  readonly #skipped = new Map<string, Set<string>>()

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  onTestRunStart(): void {
    this.#logs.clear()
    this.#idle.clear()
    this.#skipped.clear()
  }

  onUserConsoleLog({ content, taskId }: Log): void {
    const lines = content.trim().split('\n')
    for (const line of lines) if (line.startsWith('SKIPPED: ')) this.#skip(line.slice(9), this.#fileOf(taskId))
    if (taskId === undefined) return
    const own = this.#logs.get(taskId)
    if (own !== undefined) own.push(...lines)
    else if (lines.some(line => line.startsWith('FC_SEED='))) this.#logs.set(taskId, lines)
  }

  onTestCaseResult(test: TestCase): void {
    const result = test.result()
    if (result.state !== 'skipped') return
    this.#idle.add(test.id)
    if (result.note !== undefined) this.#skip(result.note, test.module.relativeModuleId)
  }

  onTestRunEnd(): void {
    const done = [...this.#logs].filter(([id]) => !this.#idle.has(id))
    const programs = done.map(([id, lines]) => `${this.#nameOf(id)}: ${lines.join('; ')}`)
    const skipped = [...this.#skipped].map(([reason, files]) => `${reason}\n     ${[...files].sort().join(', ')}`)
    this.#print('Fault programs', programs)
    this.#print('Skipped, and why', skipped)
  }

  #skip(reason: string, file: string): void {
    this.#skipped.set(reason, (this.#skipped.get(reason) ?? new Set()).add(file))
  }

  #fileOf(id: string | undefined): string {
    const task = id === undefined ? undefined : this.#vitest!.state.idMap.get(id)
    return task?.file.name ?? 'a file'
  }

  #nameOf(id: string): string {
    const task = this.#vitest!.state.idMap.get(id)
    return task === undefined ? id : `${task.file.name}, ${task.suite?.name ?? task.name}`
  }

  #print(title: string, lines: readonly string[]): void {
    if (lines.length === 0) return
    this.#vitest!.logger.log(`\n ${title}\n${lines.map(line => `   ${line}`).join('\n')}`)
  }
}
