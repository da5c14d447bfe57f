import eslint from '@eslint/js';
import globals from 'globals';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import { importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist/', 'native/', 'native-bench/', 'target/', 'js/generated/', '**/*.d.ts'] },
  eslint.configs.recommended,
  {
    // Arrows run one way, between files too.
    plugins: { 'import-x': importX },
    settings: {
      'import-x/extensions': ['.ts', '.js', '.mjs', '.cjs'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [createTypeScriptImportResolver()],
    },
    rules: { 'import-x/no-cycle': 'error' },
  },
  {
    files: ['js/**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-require-imports': ['error', { allowAsImport: true }],
      '@typescript-eslint/prefer-nullish-coalescing': 'off',
      // Enums are plain numbers at run time: their types are those of the declarations for applications.
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      '@typescript-eslint/no-unsafe-enum-comparison': 'off',
      // Arguments come from applications in plain JS: their types are not certain, and are checked.
      '@typescript-eslint/no-unnecessary-condition': 'off',
    },
  },
  {
    files: ['**/*.mjs', '**/*.js', '**/*.cjs'],
    languageOptions: {
      globals: {
        ...globals.browser,
        ...globals.node,
        native: 'readonly',
        // Chromium's, not in the list of globals.
        MediaStreamTrackGenerator: 'readonly',
        VideoFrame: 'readonly',
      },
    },
  },
  {
    // Scripts of pages and the tests that drive them share the page's global names.
    files: ['tests/package/**'],
    rules: { 'no-undef': 'off', 'no-unused-vars': 'off' },
  },
);
