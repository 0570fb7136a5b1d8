// What the compiler of TypeScript finds wrong with a text that imports types of packages.
import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

export function problemsOfTypes(source) {
  // Below this directory, where the packages are found.
  const directory = mkdtempSync(join(import.meta.dirname, ".types-"));
  try {
    const file = join(directory, "source.mts");
    writeFileSync(file, source);
    const program = ts.createProgram([file], {
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      types: [],
      target: ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
    });
    return ts.getPreEmitDiagnostics(program).map((found) => ts.flattenDiagnosticMessageText(found.messageText, " "));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
