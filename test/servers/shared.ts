import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import { borrow } from './desk.ts'

/** The address of a server that all test files of a run share. What hurts one, or sets it otherwise, starts its own. */
export function sharedServer(kind: 'postgres' | 'valkey'): Promise<string> {
  return borrow(inject('serversPort'), kind)
}

/** A name that nobody else has: for schemas, prefixes and databases there. @param subject what it begins with */
export function unique(subject: string): string {
  return `${subject}_${randomUUID().replaceAll('-', '')}`
}
