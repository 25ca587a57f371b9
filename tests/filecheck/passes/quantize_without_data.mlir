// RUN: imcc opt %s --pass-pipeline 'quantize' --expect-error
// Ranges come from data; without any the pass says so, and where it stands in the pipeline.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x2xf32>) -> (tensor<1x2xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x2xf32>):
    %y = "imcc.relu"(%x) : (tensor<1x2xf32>) -> tensor<1x2xf32>
    "func.return"(%y) : (tensor<1x2xf32>) -> ()
  }) : () -> ()
}) : () -> ()

// CHECK:      InputError: pass 'quantize' needs calibration data
// CHECK-NEXT: in pass quantize (passes before it: none)
