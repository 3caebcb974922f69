import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

// The server that `npm run dev` asks: ODOGRAPH=http://127.0.0.1:8080
const server = process.env.ODOGRAPH ?? 'http://127.0.0.1:8080'
const asked = { target: server, changeOrigin: false, ws: true }
const proxy = { '/api': asked, '/healthz': asked, '/readyz': asked, '/metrics': asked, '/map.json': asked }

// As the server says it: pages that were only tried without it break there.
const policy =
  "default-src 'self'; script-src 'self'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
  "connect-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

/** What is not to wait for the first script: the one that asks what the first view needs, and the map library, which is the largest of all. */
const beside: Plugin = {
  name: 'beside',
  transformIndexHtml: {
    order: 'post',
    handler: (_, { bundle }) => {
      const find = (pattern: RegExp) => Object.keys(bundle ?? {}).find((file) => pattern.test(file) && !file.includes('worker'))
      const [early, library] = [find(/early-[^/]*\.js$/), find(/maplibre-gl-[^/]*\.js$/)]
      return [
        ...(early ? [{ tag: 'script', attrs: { type: 'module', async: true, crossorigin: true, src: `/${early}` }, injectTo: 'head-prepend' as const }] : []),
        ...(library ? [{ tag: 'link', attrs: { rel: 'modulepreload', crossorigin: true, href: `/${library}` }, injectTo: 'head' as const }] : [])
      ]
    }
  }
}

export default defineConfig({
  plugins: [svelte(), beside],
  build: {
    target: 'es2022',
    // No script or font may be part of the page itself: the server forbids such scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The map library alone is larger than what is warned of.
    chunkSizeWarningLimit: 1200,
    // What several pages need is one script: as many small ones each compress by themselves, and weigh 2 kB more.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [{ name: 'early', test: /\/src\/api\/early/, priority: 1 }, { name: 'shared', test: /\/src\//, minShareCount: 2 }]
        }
      }
    }
  },
  worker: { format: 'es' },
  server: { proxy },
  preview: { proxy, headers: { 'Content-Security-Policy': policy } }
})
