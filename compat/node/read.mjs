// Reads a partition with @platformatic/kafka's fetch call, which needs no group.
import { bootstrap, need, until } from './cases.mjs'

const { Consumer } = need('@platformatic/kafka')

export function consumer (options = {}) {
  return new Consumer({ clientId: 'compat', groupId: 'unused', bootstrapBrokers: [bootstrap], maxWaitTime: 500, minBytes: 1, retries: 5, ...options })
}

const text = data => (data === null ? null : data.toString())

export async function readBatches (client, topic, partition, offset, maxBytes = 1 << 20) {
  const metadata = await client.metadata({ topics: [topic] })
  const { id, partitions } = metadata.topics.get(topic)
  const response = await client.fetch({
    node: partitions[partition].leader,
    maxBytes,
    topics: [{ topicId: id, partitions: [{ partition, currentLeaderEpoch: -1, fetchOffset: BigInt(offset), lastFetchedEpoch: -1, partitionMaxBytes: maxBytes }] }]
  })
  return response.responses[0].partitions[0]
}

// Every record from `offset` on, until there are `count`.
export async function readAll (topic, count, { partition = 0, offset = 0, maxBytes } = {}) {
  const client = consumer()
  const found = []
  let next = BigInt(offset)
  try {
    await until(async () => {
      const { records: batches = [] } = await readBatches(client, topic, partition, next, maxBytes)
      for (const batch of batches) {
        for (const record of batch.records) {
          const at = batch.firstOffset + BigInt(record.offsetDelta)
          if (at < next) continue
          found.push({
            offset: Number(at),
            key: text(record.key),
            value: text(record.value),
            headers: Object.fromEntries(record.headers.map(([name, value]) => [text(name), text(value)])),
            codec: batch.attributes & 7
          })
          next = at + 1n
        }
      }
      return found.length >= count
    }, `${count} records of ${topic}`)
    return found
  } finally {
    await client.close(true)
  }
}
