import { expect, test } from 'vitest'
import type { Unit } from 'xmachines'
import { Findings } from './findings.ts'
import type { ReadRecord } from './topic-reader.ts'

const add = (offset: number, key: string | null, by: string): ReadRecord => ({
  partition: 0,
  offset,
  key,
  value: JSON.stringify({ type: 'ADD', by }),
  headers: {},
})
const unit = (seq: number, by: string, epoch = 1): Unit =>
  ({ run: 'r', seq, epoch, events: [{ type: 'ADD', by }], outputs: [{ type: 'COUNTED', by }] }) as unknown as Unit
const result = (seq: number, by: string): ReadRecord => ({
  partition: 0,
  offset: 0,
  key: 'k',
  value: JSON.stringify({ event: { type: 'COUNTED', by } }),
  headers: { 'xmachines-id': `r/${seq}/0` },
})
const letter = (offset: number, key: string | null): ReadRecord => ({
  ...add(9, key, '1'),
  headers: { 'xmachines-id': `cluster/t/0/${offset}` },
})

const wanted = [
  { by: '1', offset: 0 },
  { by: '2', offset: 1 },
]
const acknowledged = [{ partition: 0, offset: 0, key: 'k', by: '1' }]

// A checker that finds nothing shows nothing: here is what each law's breach looks like.
const breaches: readonly [breach: string, kind: string, look: (findings: Findings) => void][] = [
  ['an acknowledged record is not in the topic', 'lost', f => f.topic([], acknowledged, [], [])],
  ['another record is in its place', 'lost', f => f.topic([add(0, 'k', '9')], acknowledged, [], [])],
  ['a record is in the topic twice', 'twice', f => f.topic([add(0, 'k', '1'), add(1, 'k', '1')], [], [], [])],
  [
    'records of a key are in another order',
    'disordered',
    f => f.topic([add(0, 'k', '2'), add(1, 'k', '1')], [], [], []),
  ],
  ['a committed transaction is gone', 'lost', f => f.topic([], [], ['t1'], [])],
  ['an aborted transaction is read', 'invented', f => f.topic([add(0, 'k', 't1')], [], [], ['t1'])],
  ['a commit is beyond the end', 'ahead', f => f.commits(new Map([[0, 2]]), new Map([[0, 1]]))],
  ['a commit is not at the end', 'unsettled', f => f.commits(new Map([[0, 0]]), new Map([[0, 1]]))],
  ['a dead letter is missing', 'lost', f => f.letters('t', [add(3, null, '1')], [])],
  ['a dead letter is of a good record', 'invented', f => f.letters('t', [add(3, 'k', '1')], [letter(3, 'k')])],
  ['a dead letter is another one', 'invented', f => f.letters('t', [add(3, null, '1')], [letter(3, 'k')])],
  ['a key has no run', 'lost', f => f.keys(['k'], [])],
  ['a key has two runs', 'twice', f => f.keys(['k'], ['k', 'k'])],
  ['a run took less', 'lost', f => f.history('k', wanted, [unit(1, '1')])],
  ['a run took something twice', 'twice', f => f.history('k', wanted, [unit(1, '1'), unit(2, '1')])],
  ['a run took it in another order', 'disordered', f => f.history('k', wanted, [unit(1, '2'), unit(2, '1')])],
  ['an older epoch wrote last', 'stale', f => f.history('k', wanted, [unit(1, '1', 2), unit(2, '2', 1)])],
  ['a result is missing', 'lost', f => f.outputs('k', [unit(1, '1')], [])],
  ['a result says something else', 'invented', f => f.outputs('k', [unit(1, '1')], [result(1, '2')])],
  ['a result is sent as two', 'invented', f => f.outputs('k', [unit(1, '1')], [result(1, '1'), result(1, '2')])],
  [
    'results come in another order',
    'disordered',
    f => f.outputs('k', [unit(1, '1'), unit(2, '2')], [result(2, '2'), result(1, '1')]),
  ],
]

test.each(breaches)('the checker sees that %s', (_, kind, look) => {
  const findings = new Findings()
  look(findings)
  expect(findings.wrong).toContainEqual(expect.stringMatching(new RegExp(`^${kind}: `)))
})

test('the checker is content with what is right, and with what is sent again', () => {
  const findings = new Findings()
  findings.topic([add(0, 'k', '1'), add(3, 'k', '2')], acknowledged, [], ['t1'])
  findings.commits(new Map([[0, 4]]), new Map([[0, 4]]))
  findings.letters('t', [add(3, null, '1')], [letter(3, null), letter(3, null)])
  findings.keys(['k'], ['k'])
  findings.history('k', wanted, [unit(1, '1', 1), unit(2, '2', 3)])
  findings.outputs('k', [unit(1, '1'), unit(2, '2')], [result(1, '1'), result(2, '2'), result(1, '1')])
  expect(findings.wrong).toEqual([])
})
