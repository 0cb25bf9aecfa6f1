import { defineConfig } from "vite";

// The page works below any path, and asks no other host. Names of assets have a hash of their content, so that browsers may
// keep them. Nothing is inlined, since the Content-Security-Policy allows no inline scripts and styles.
export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "dist",
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
    rollupOptions: { output: { entryFileNames: "assets/[name]-[hash].js", assetFileNames: "assets/[name]-[hash][extname]" } },
  },
});
