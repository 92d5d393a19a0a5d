/** Takes `count` values from a stream and lets it go. */
export async function take<T>(stream: ReadableStream<T>, count: number): Promise<T[]> {
  const reader = stream.getReader()
  const values: T[] = []
  while (values.length < count) {
    const { done, value } = await reader.read()
    if (done) break
    values.push(value)
  }
  reader.releaseLock()
  return values
}

/** All values of a stream that ends. */
export async function all<T>(stream: ReadableStream<T>): Promise<T[]> {
  const values: T[] = []
  for await (const value of stream) values.push(value)
  return values
}
