// @platformatic/kafka: new versions of every request (Produce to 11, Fetch to 17, topic ids), from JavaScript.
import assert from 'node:assert/strict'
import zlib from 'node:zlib'
import { bootstrap, check, main, need, newTopic, refused, until } from '../node/cases.mjs'
import { consumer, readAll, readBatches } from '../node/read.mjs'

const { Admin, Consumer, Producer, stringSerializers, stringDeserializers, MessagesStreamModes } = need('@platformatic/kafka')
const port = Number(bootstrap.split(':')[1])
const shared = { clientId: 'compat', bootstrapBrokers: [bootstrap], retries: 5 }

async function using (client, body) {
  try {
    return await body(client)
  } finally {
    await (client instanceof Admin ? client.close() : client.close(true))
  }
}

const withAdmin = body => using(new Admin(shared), body)
const withProducer = (options, body) => using(new Producer({ ...shared, serializers: stringSerializers, ...options }), body)

async function makeTopic (stem, partitions = 1, configs = []) {
  const topic = newTopic(stem)
  await withAdmin(async admin => {
    await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs })
    await until(async () => {
      const told = (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic)
      return told.partitionsCount === partitions && Object.values(told.partitions).every(part => part.leader >= 0)
    }, 'leaders')
  })
  return topic
}

const messages = (topic, count) => Array.from({ length: count }, (_, n) => ({ topic, partition: 0, timestamp: 1_700_000_000_000n + BigInt(n), key: `key ${n}`, value: `value ${n} ${'abc'.repeat(20)}`, headers: { n: `${n}` } }))

// This client takes acks with every send and ignores it among the producer's options.
async function written ({ acks, ...options }, codec = 0) {
  const topic = await makeTopic('pl-write')
  await withProducer(options, async producer => {
    for (let part = 0; part < 5; part++) {
      const { offsets } = await producer.send({ messages: messages(topic, 100), acks })
      if (acks !== 0) assert.equal(offsets[0].offset, BigInt(part * 100))
    }
  })
  const found = await readAll(topic, 500)
  assert.deepEqual(found.map(record => record.offset), Array.from({ length: 500 }, (_, n) => n))
  assert.deepEqual(found.map(record => record.key), Array.from({ length: 500 }, (_, n) => `key ${n % 100}`))
  assert.deepEqual([found[7].value, found[7].headers, found[7].codec], [`value 7 ${'abc'.repeat(20)}`, { n: '7' }, codec])
}

check('produce', () => written({ acks: -1 }))
check('produce-acks-0', () => written({ acks: 0 }))
check('produce-acks-1', () => written({ acks: 1 }))
check('produce-idempotent', () => written({ idempotent: true }))
check('produce-gzip', () => written({ compression: 'gzip' }, 1))
check('produce-snappy', () => written({ compression: 'snappy' }, 2))
check('produce-lz4', () => written({ compression: 'lz4' }, 3))
if (zlib.zstdCompressSync) check('produce-zstd', () => written({ compression: 'zstd' }, 4))

check('produce-auto-create', async () => {
  const topic = newTopic('pl-auto')
  await withProducer({ autocreateTopics: true }, producer => producer.send({ messages: messages(topic, 3) }))
  assert.equal((await readAll(topic, 3)).length, 3)
})

check('produce-unknown-topic', () => withProducer({ autocreateTopics: false, retries: 0 }, producer =>
  refused(producer.send({ messages: messages(newTopic('pl-unknown'), 1) }), /Unknown topic|UNKNOWN_TOPIC_OR_PARTITION/)))

check('fetch-past-limits', async () => {
  const topic = await makeTopic('pl-large')
  await withProducer({}, async producer => {
    for (let n = 0; n < 3; n++) await producer.send({ messages: [{ topic, value: 'y'.repeat(200_000) }] })
  })
  assert.deepEqual((await readAll(topic, 3, { maxBytes: 1000 })).map(record => record.value.length), [200_000, 200_000, 200_000])
})

check('fetch-out-of-range', async () => {
  const topic = await makeTopic('pl-range')
  await using(consumer({ retries: 0 }), client => refused(readBatches(client, topic, 0, 99), /OFFSET_OUT_OF_RANGE/))
})

check('fetch-deleted-topic-id', async () => {
  const topic = await makeTopic('pl-deleted')
  await using(consumer({ retries: 0 }), async client => {
    await readBatches(client, topic, 0, 0)
    await withAdmin(admin => admin.deleteTopics({ topics: [topic] }))
    await refused((async () => { for (let n = 0; n < 50; n++) await readBatches(client, topic, 0, 0) })(), /UNKNOWN_TOPIC/)
  })
})

check('list-offsets', async () => {
  const topic = await makeTopic('pl-offsets', 2)
  // With acks=1 the end that readers see follows a moment later, once it is synced.
  await withProducer({}, producer => producer.send({ messages: messages(topic, 9), acks: -1 }))
  await using(consumer(), async client => {
    assert.deepEqual((await client.listOffsets({ topics: [topic] })).get(topic), [9n, 0n])
    assert.deepEqual((await client.listOffsets({ topics: [topic], timestamp: -2n })).get(topic), [0n, 0n])
  })
  await withAdmin(async admin => {
    const [told] = await admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -3n }] }] })
    assert.equal(told.partitions[0].offset, 8n)
  })
})

check('admin-topics', () => withAdmin(async admin => {
  const topic = newTopic('pl-admin')
  const [made] = await admin.createTopics({ topics: [topic], partitions: 3, replicas: 1, configs: [{ name: 'retention.ms', value: '94000' }] })
  assert.deepEqual([made.name, made.partitions, made.replicas], [topic, 3, 1])
  await refused(admin.createTopics({ topics: [topic], partitions: 3, replicas: 1 }), /TOPIC_ALREADY_EXISTS/)
  assert.ok((await admin.listTopics()).includes(topic))
  await admin.createPartitions({ topics: [{ name: topic, count: 5, assignments: null }], validateOnly: false })
  await until(async () => (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic).partitionsCount === 5, 'five partitions')
  await admin.deleteTopics({ topics: [topic] })
  await until(async () => !(await admin.listTopics()).includes(topic), 'the topic to go')
}))

check('admin-refusals', () => withAdmin(async admin => {
  const create = words => admin.createTopics({ topics: [newTopic('pl-refused')], partitions: 1, replicas: 1, ...words })
  await refused(create({ topics: ['a/b'] }), /INVALID_TOPIC_EXCEPTION/)
  await refused(create({ partitions: 0 }), /INVALID_PARTITIONS/)
  await refused(create({ replicas: 7 }), /INVALID_REPLICATION_FACTOR/)
  await refused(create({ configs: [{ name: 'no.such', value: '1' }] }), /INVALID_CONFIG/)
}))

check('admin-configs', async () => {
  const topic = await makeTopic('pl-configs', 1, [{ name: 'retention.ms', value: '93000' }])
  await withAdmin(async admin => {
    const [told] = await admin.describeConfigs({ resources: [{ resourceType: 2, resourceName: topic, configurationKeys: null }], includeSynonyms: true, includeDocumentation: true })
    const entry = name => told.configs.find(config => config.name === name)
    assert.equal(entry('retention.ms').value, '93000')
    assert.equal(entry('cleanup.policy').value, 'delete')
  })
})

check('metadata', async () => {
  const topic = await makeTopic('pl-metadata', 2)
  await withAdmin(async admin => {
    const told = await admin.metadata({ topics: [topic], forceUpdate: true })
    assert.deepEqual([...told.brokers].map(([id, broker]) => [id, broker.host, broker.port]), [[1, '127.0.0.1', port]])
    assert.equal(told.id.length, 22)
    assert.match(told.topics.get(topic).id, /^[0-9a-f-]{36}$/)
  })
})

check('consumer-group', { needs: 'groups' }, async () => {
  const topic = await makeTopic('pl-group', 2)
  await withProducer({}, producer => producer.send({ messages: messages(topic, 40) }))
  await using(new Consumer({ ...shared, groupId: newTopic('group'), deserializers: stringDeserializers }), async client => {
    const stream = await client.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST, autocommit: true })
    const seen = []
    stream.on('data', message => seen.push(message.key))
    await until(() => seen.length >= 40, 'all records', 60)
    assert.deepEqual(seen, messages(topic, 40).map(message => message.key))
    await stream.close()
  })
})

await main()
