import { expect, test } from 'vitest'
import type { TestCase, Vitest } from 'vitest/node'
import { ClosingReport } from '../closing-report.ts'

/** What a report prints of a test run. */
function printed(play: (report: ClosingReport) => void): string {
  const file = { name: 'test/a.test.ts' }
  const idMap = new Map<string, unknown>([
    ['file', { ...file, file }],
    ['test', { name: 'a test', file, suite: { name: 'a suite' } }],
    ['other', { name: 'another test', file }],
  ])
  let text = ''
  const logger = { log: (more: string) => (text += `${more}\n`) }
  const report = new ClosingReport()
  report.onInit({ state: { idMap }, logger } as unknown as Vitest)
  report.onTestRunStart()
  play(report)
  report.onTestRunEnd()
  return text
}

const log = (taskId: string, content: string) => ({ type: 'stdout' as const, content, taskId, time: 0, size: 0 })

test('a test that logs its seed has a line of all that it logs, and other logs are left out', () => {
  const text = printed(report => {
    report.onUserConsoleLog(log('test', 'FC_SEED=7\n'))
    report.onUserConsoleLog(log('other', 'noise\n'))
    report.onUserConsoleLog(log('test', '3 kills\n4 deaths\n'))
  })
  expect(text).toBe('\n Fault programs\n   test/a.test.ts, a suite: FC_SEED=7; 3 kills; 4 deaths\n')
})

test('what was skipped is told once a reason, with the files', () => {
  const skipped = {
    id: 'test',
    result: () => ({ state: 'skipped', note: 'no disk' }),
    module: { relativeModuleId: 'test/b.test.ts' },
  }
  const text = printed(report => {
    report.onUserConsoleLog(log('test', 'FC_SEED=7\n'))
    report.onUserConsoleLog(log('file', 'SKIPPED: no server\n'))
    report.onUserConsoleLog(log('test', 'SKIPPED: no server\nSKIPPED: no disk\n'))
    report.onTestCaseResult(skipped as unknown as TestCase)
  })
  expect(text).toBe(
    '\n Skipped, and why\n   no server\n     test/a.test.ts\n   no disk\n     test/a.test.ts, test/b.test.ts\n',
  )
})

test('a run without either ends as before', () => {
  expect(printed(report => report.onUserConsoleLog(log('other', 'noise\n')))).toBe('')
})
