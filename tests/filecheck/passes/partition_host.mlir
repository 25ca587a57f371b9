// RUN: imcc opt %s --pass-pipeline 'partition-host'
// Two parts that hand on a value become one, with what the first reads and the second makes.

"builtin.module"() ({
  "func.func"() <{function_type = (tensor<1x4xf32>) -> (tensor<1x4xf32>), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x4xf32>):
    %a = "imcc.host"(%x) {model = "CAgSBGltY2M6UQoaCgF4EgFhGglIYXJkbWF4OmEiB0hhcmRtYXgSCUhhcmRtYXg6YVoTCgF4Eg4KDAgBEggKAggBCgIIBGITCgFhEg4KDAgBEggKAggBCgIIBEIECgAQEQ==", inputs = [tensor<1x4xf32>], outputs = [tensor<1x4xf32>], origin = ["Hardmax:a"]} : (tensor<1x4xf32>) -> tensor<1x4xf32>
    %y = "imcc.host"(%a) {model = "CAgSBGltY2M6UQoaCgFhEgF5GglIYXJkbWF4OnkiB0hhcmRtYXgSCUhhcmRtYXg6eVoTCgFhEg4KDAgBEggKAggBCgIIBGITCgF5Eg4KDAgBEggKAggBCgIIBEIECgAQEQ==", inputs = [tensor<1x4xf32>], outputs = [tensor<1x4xf32>], origin = ["Hardmax:y"]} : (tensor<1x4xf32>) -> tensor<1x4xf32>
    "func.return"(%y) : (tensor<1x4xf32>) -> ()
  }) {imcc.name = "network", imcc.output_names = ["y"]} : () -> ()
}) : () -> ()

// CHECK:      "imcc.host"(%x)
// CHECK-SAME: origin = ["Hardmax:a", "Hardmax:y"]
// CHECK-NOT:  imcc.host
