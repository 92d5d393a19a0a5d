/** Whether every surrogate of `text` has its pair, so that UTF-8 holds it unchanged. (ES2024; the core compiles against ES2023.) */
export function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed()
}

/** `text` with a replacement character for each surrogate without its pair. (ES2024, too.) */
export function toWellFormed(text: string): string {
  return (text as string & { toWellFormed(): string }).toWellFormed()
}
