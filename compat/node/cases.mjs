// The cases of a check written in JavaScript; the counterpart of harness/cases.py.
import { createRequire } from 'node:module'
import { setTimeout as pause } from 'node:timers/promises'

export const bootstrap = process.env.COMPAT_BOOTSTRAP
export const kind = process.env.COMPAT_KIND
const absent = new Set((process.env.COMPAT_ABSENT || '').split(',').filter(Boolean))
const cases = []

// Packages live in the cache, not beside the checks.
export const need = createRequire(process.env.NODE_PATH + '/')

export function check (name, options, body) {
  if (typeof options === 'function') [options, body] = [{}, options]
  cases.push({ name, body, ...options })
}

let topics = 0
export const newTopic = (stem = 't') => `${stem}-${process.pid}-${++topics}`

export async function until (probe, what, seconds = 30) {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const answer = await probe()
    if (answer) return answer
    if (Date.now() > deadline) throw new Error(`${what}: not after ${seconds} s`)
    await pause(50)
  }
}

export async function refused (promise, pattern) {
  try {
    await promise
  } catch (error) {
    const said = [error, ...(error.errors || [])].map(e => `${e.type || ''} ${e.apiId || ''} ${e.message}`).join('; ')
    if (pattern.test(said)) return
    throw new Error(`expected ${pattern}, got ${said}`)
  }
  throw new Error(`expected ${pattern}, but it was accepted`)
}

function report (name, status, since, reason = '') {
  const seconds = Math.round((Date.now() - since) / 10) / 100
  console.log(`@case ${JSON.stringify({ case: name, status, seconds, reason })}`)
}

export async function main () {
  const wanted = process.env.COMPAT_CASE
  let failed = false
  for (const { name, body, needs, seconds = 90 } of cases) {
    if (wanted && wanted !== name) continue
    const since = Date.now()
    if (absent.has(needs)) {
      report(name, 'SKIP', since, `needs ${needs}`)
      continue
    }
    console.log(`--- ${name}`)
    const bound = new AbortController()
    try {
      const late = pause(seconds * 1000, null, { signal: bound.signal }).then(() => { throw new Error(`not done after ${seconds} s`) })
      late.catch(() => {})
      await Promise.race([body(), late])
      report(name, 'PASS', since)
    } catch (error) {
      console.log(error)
      failed = true
      report(name, 'FAIL', since, `${error.name}: ${error.message}`.slice(0, 300))
    } finally {
      bound.abort()
    }
  }
  process.exit(failed ? 1 : 0)
}
